"""Asks for the hyperparameters of the structured space. Every default is a good first trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import keras_tuner

from search_spaces.base import Target
from search_spaces.families import only_for
from search_spaces.optimization import Optimization
from search_spaces.structured_columns import CategoryColumn, Table
from search_spaces.structured_config import Boosting, Categories, Family, LargeVocabularies, Network, Numbers
from search_spaces.targets import imbalanced

_BINS = (8, 16, 32)
# Wider inputs make the first layer the whole model.
_MOST_FEATURES = 8192
# A layer for each column.
_MOST_BINNED = 100
_ONE_HOT_UP_TO = (4, 16, 64)
_EMBEDDING_SIZES = (4, 8, 16, 32)
_MOST_VALUES = (100, 1000, 10_000)
_CROSSES = (0, 3, 10)
_UNITS = (32, 64, 128, 256, 512)
_LARGEST_BATCH = 4096
_BATCH_OF_TREES = 1024
# An epoch has about so many steps in the first trial: of large tables, small batches are slow and no better.
_STEPS = 100


def ask_family(hp: keras_tuner.HyperParameters, families: Sequence[Family]) -> Family:
    return hp.Choice("family", list(families), default=families[0])


def ask_numbers(hp: keras_tuner.HyperParameters, table: Table) -> Numbers | None:
    """Asks how numbers are encoded; None where no number varies and none is missing."""
    count = sum(each.deviation > 0 for each in table.numbers)
    if not count:
        return Numbers("standard", _BINS[0]) if table.numbers else None
    bins = [each for each in _BINS if each * count <= _MOST_FEATURES]
    encodings = ["standard", "log", "quantile", *(["piecewise"] if bins else [])]
    encodings += ["binned"] if bins and count <= _MOST_BINNED else []
    encoding = hp.Choice("numbers", encodings, default="quantile")
    if len(bins) > 1:
        with hp.conditional_scope("numbers", [each for each in encodings if each in ("piecewise", "binned")]):
            hp.Choice("bins", bins, default=bins[len(bins) // 2])
    return Numbers(encoding, hp.get("bins") if "bins" in hp else (bins or _BINS)[0])


def ask_categories(hp: keras_tuner.HyperParameters, table: Table) -> Categories | None:
    """Asks how categories are encoded, as far as the vocabularies leave a choice; None without categories."""
    columns = table.categories
    if not columns:
        return None
    largest = max(each.distinct for each in columns)
    most_values, large = _ask_vocabulary(hp, largest)
    one_hot_up_to = _ask_one_hot(hp, columns)
    embedding_size = _EMBEDDING_SIZES[1]
    if largest > _ONE_HOT_UP_TO[0]:
        embedding_size = hp.Choice("embedding_size", list(_EMBEDDING_SIZES), default=embedding_size)
    return Categories(one_hot_up_to, embedding_size, most_values, large)


def ask_crosses(
    hp: keras_tuner.HyperParameters,
    categories: Categories | None,
    table: Table,
    family: Family,
    families: Sequence[Family],
) -> Categories | None:
    """Asks which categories are crossed, where there are any to cross."""
    if categories is None or len(table.categories) < 2 or "wide_and_deep" not in families:
        return categories
    with only_for(hp, ["wide_and_deep"], families):
        hp.Choice("crosses", list(_CROSSES), default=0)
    return replace(categories, crosses=hp.get("crosses")) if family == "wide_and_deep" else categories


def _ask_vocabulary(hp: keras_tuner.HyperParameters, largest: int) -> tuple[int, LargeVocabularies]:
    """The most values of a vocabulary, and what becomes of the rest."""
    small = [each for each in _MOST_VALUES if each < largest]
    enough = [each for each in _MOST_VALUES if each >= largest][:1]
    if not small:
        return enough[0], "frequent"
    most = hp.Choice("most_values", [*small, *enough], default=min(1000, (small + enough)[-1]))
    with hp.conditional_scope("most_values", small):
        hp.Choice("large_vocabularies", ["frequent", "hashed"], default="frequent")
    return most, hp.get("large_vocabularies") if most in small else "frequent"


def _ask_one_hot(hp: keras_tuner.HyperParameters, columns: Sequence[CategoryColumn]) -> int:
    # Of limits that divide the columns in the same way, one is enough.
    limits = {tuple(each.distinct <= limit for each in columns): limit for limit in _ONE_HOT_UP_TO}
    choices = sorted(limits.values())
    if len(choices) == 1:
        return choices[0]
    usual = [limit for limit in choices if limit <= _ONE_HOT_UP_TO[1]]
    return int(hp.Choice("one_hot_up_to", choices, default=(usual or choices)[-1 if usual else 0]))


def ask_network(hp: keras_tuner.HyperParameters, family: Family, families: Sequence[Family]) -> Network | None:
    """Asks for the networks of all ``families``; gives that of ``family``, None if it is linear."""
    deep = [each for each in families if each not in ("linear", "boosted")]
    if not deep:
        return None
    with only_for(hp, deep, families):
        layers = hp.Int("layers", 1, 4, default=2)
        units = hp.Choice("units", list(_UNITS), default=128)
        normalization = hp.Choice("normalization", ["batch", "layer", "none"], default="batch")
        activation = hp.Choice("activation", ["relu", "silu", "gelu"], default="relu")
        dropout = hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2)
    if "cross" in families:
        with only_for(hp, ["cross"], families):
            hp.Int("cross_layers", 1, 3, default=2)
    if family == "linear":
        return None
    crossed = hp.get("cross_layers") if family == "cross" else 0
    return Network(layers, units, normalization, activation, dropout, crossed)


def ask_boosting(hp: keras_tuner.HyperParameters, columns: int) -> Boosting:
    """Asks how boosted trees grow; the defaults are scikit-learn's, but with half of the columns for each node.

    Args:
        columns: how many there are.
    """
    # Batches do nothing but show how good the trees are.
    hp.Fixed("batch_size", _BATCH_OF_TREES)
    return Boosting(
        rate=hp.Float("boosting_rate", 0.03, 0.3, sampling="log", default=0.1),
        leaves=hp.Choice("leaves", [8, 16, 31, 63], default=31),
        least_examples=hp.Choice("least_examples", [5, 10, 20, 50, 100], default=20),
        l2=hp.Choice("leaf_l2", [0.0, 0.1, 1.0, 10.0], default=0.0),
        columns_share=hp.Choice("columns_share", [0.3, 0.5, 0.75, 1.0], default=0.5) if columns > 3 else 1.0,
    )


def ask_class_weight(hp: keras_tuner.HyperParameters, target: Target) -> None:
    """Asks for ``class_weight`` if one of two classes is rare; it is read where the weights of examples are made."""
    if imbalanced(target.class_counts):
        hp.Choice("class_weight", ["none", "sqrt", "balanced"], default="sqrt")


def ask_optimization(hp: keras_tuner.HyperParameters, target: Target, examples: int, batch_size: int) -> Optimization:
    """Asks for the optimizer and everything around it.

    Args:
        examples: the number of training examples.
        batch_size: the smallest.
    """
    hp.Choice("optimizer", ["adamw", "sgd"])
    with hp.conditional_scope("optimizer", ["adamw"]):
        hp.Float("learning_rate", 3e-4, 2e-2, sampling="log", default=1e-3)
        hp.Float("weight_decay", 1e-4, 3e-1, sampling="log", default=1e-2)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("learning_rate", 1e-3, 1e-1, sampling="log", default=1e-2)
        hp.Float("weight_decay", 1e-5, 1e-2, sampling="log", default=5e-4)
        hp.Float("momentum", 0.8, 0.95, sampling="reverse_log", default=0.9)
    smoothing = 0.0
    if target.task != "regression":
        smoothing = hp.Float("label_smoothing", 0.0, 0.2, step=0.05, default=0.0)
    sizes = batch_sizes(examples, batch_size)
    return Optimization(
        optimizer=hp.get("optimizer"),
        learning_rate=hp.get("learning_rate"),
        weight_decay=hp.get("weight_decay"),
        momentum=hp.get("momentum") if "momentum" in hp else None,
        schedule=hp.Choice("schedule", ["constant", "cosine", "warmup_cosine"], default="warmup_cosine"),
        label_smoothing=smoothing,
        batch_size=hp.Choice("batch_size", sizes, default=_default_batch(sizes, examples)),
    )


def batch_sizes(examples: int, smallest: int) -> list[int]:
    """``smallest`` and its doubles, as long as an epoch keeps 10 steps."""
    sizes = [smallest]
    while sizes[-1] * 2 <= min(_LARGEST_BATCH, examples / 10):
        sizes.append(sizes[-1] * 2)
    return sizes


def _default_batch(sizes: Sequence[int], examples: int) -> int:
    return max((size for size in sizes if size <= examples / _STEPS), default=sizes[0])
