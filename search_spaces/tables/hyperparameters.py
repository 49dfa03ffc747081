"""Asks for the hyperparameters of the structured space. Every default is a good first trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras_tuner

from search_spaces.base import Link, Target
from search_spaces.families import only_for
from search_spaces.optimization import Optimization
from search_spaces.tables.columns import CategoryColumn, Table
from search_spaces.tables.config import (
    PLAIN,
    Boosting,
    Categories,
    Family,
    LargeVocabularies,
    Network,
    NumberEncoding,
    Numbers,
)
from search_spaces.targets import imbalanced, may_be_logarithmic

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
_SMALLEST_BATCH, _LARGEST_BATCH = 8, 1024
_FEWEST_STEPS = 10
# Each has embeddings of its own.
_MOST_PERIODIC = 500
_FREQUENCIES = (0.1, 0.3, 1.0)
# Of more, an epoch of so many members as few examples have time for would take long.
_FEW_EXAMPLES = 10_000
_BATCH_OF_TREES = 1024
# An epoch has about so many steps in the first trial: of large tables, small batches are slow and no better.
_STEPS = 100


def ask_family(hp: keras_tuner.HyperParameters, families: Sequence[Family]) -> Family:
    return hp.Choice("family", list(families), default=families[0])


def ask_numbers(hp: keras_tuner.HyperParameters, table: Table, usual: NumberEncoding) -> Numbers | None:
    """Asks how numbers are encoded; None where no number varies and none is missing.

    Args:
        usual: the default, where the table has room for it.
    """
    count = sum(each.deviation > 0 for each in table.numbers)
    if not count:
        return Numbers("standard", _BINS[0]) if table.numbers else None
    bins = [each for each in _BINS if each * count <= _MOST_FEATURES]
    encodings = ["standard", "log", "quantile", "robust"]
    encodings += ["periodic"] if count <= _MOST_PERIODIC else []
    encodings += ["piecewise"] if bins else []
    encodings += ["binned"] if bins and count <= _MOST_BINNED else []
    encoding = hp.Choice("numbers", encodings, default=usual if usual in encodings else "quantile")
    if bins:
        with hp.conditional_scope("numbers", [each for each in encodings if each in ("piecewise", "binned")]):
            if len(bins) > 1:
                hp.Choice("bins", bins, default=bins[len(bins) // 2])
            hp.Choice("edges", ["trees", "quantiles", "distinct"], default="trees")
    if "periodic" in encodings:
        with hp.conditional_scope("numbers", ["periodic"]):
            hp.Choice("frequency", list(_FREQUENCIES), default=_FREQUENCIES[0])
    return Numbers(
        encoding,
        hp.get("bins") if "bins" in hp else (bins or _BINS)[0],
        hp.get("edges") if "edges" in hp else "trees",
        hp.get("frequency") if "frequency" in hp else _FREQUENCIES[0],
    )


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
    """Asks for the plain networks among ``families``; gives that of ``family``, None if it is linear."""
    deep = [each for each in families if each in PLAIN and each != "linear"]
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


def ask_ensemble(hp: keras_tuner.HyperParameters, examples: int) -> Network:
    """Asks for an ensemble of networks, as TabM has them; its cost grows with its members.

    Args:
        examples: the number of training examples.
    """
    return Network(
        layers=hp.Int("layers", 1, 3, default=2),
        units=hp.Choice("units", [64, 128, 256], default=128),
        normalization="none",
        activation="relu",
        dropout=hp.Float("dropout", 0.0, 0.4, step=0.1, default=0.1),
        members=hp.Choice("members", [8, 16, 32], default=16 if examples <= _FEW_EXAMPLES else 8),
    )


def ask_realmlp(hp: keras_tuner.HyperParameters, target: Target) -> Network:
    """Asks for a RealMLP; the defaults are its paper's."""
    return Network(
        layers=hp.Int("layers", 1, 4, default=3),
        units=hp.Choice("units", [64, 128, 256, 512], default=256),
        normalization="none",
        activation=hp.Choice(
            "activation", ["selu", "mish", "relu"], default="mish" if target.task == "regression" else "selu"
        ),
        dropout=hp.Choice("dropout", [0.0, 0.15, 0.3], default=0.15),
    )


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


def ask_class_weight(hp: keras_tuner.HyperParameters, target: Target, default: str) -> None:
    """Asks for ``class_weight`` if one of two classes is rare; it is read where the weights of examples are made."""
    if imbalanced(target.class_counts):
        hp.Choice("class_weight", ["none", "sqrt", "balanced"], default=default)


@dataclass(frozen=True)
class _Usual:
    """What is usual for a kind of network: defaults of its learning rate and weight decay, schedules, and so on."""

    rate: float
    highest_rate: float
    decay: float
    schedules: tuple[str, ...] = ("warmup_cosine", "cosine")
    smoothing: float = 0.0
    beta_2: float = 0.999


# In few epochs both learned best at rates several times those of their papers: docs/decisions/0016.
_USUAL = {
    "tabm": _Usual(rate=1e-2, highest_rate=3e-2, decay=1e-3),
    "realmlp": _Usual(6e-3, 3e-2, decay=1e-1, schedules=("warmup_cosine", "restarts"), smoothing=0.1, beta_2=0.95),
}
_USUAL_PLAIN = _Usual(rate=1e-3, highest_rate=1e-2, decay=1e-2)


def ask_link(hp: keras_tuner.HyperParameters, target: Target) -> Link:
    """Asks whether skewed numbers are learned as they are or through a logarithm."""
    if not may_be_logarithmic(target):
        return "identity"
    return "log" if hp.Choice("target_scale", ["log", "linear"], default="log") == "log" else "identity"


def ask_optimization(
    hp: keras_tuner.HyperParameters, target: Target, examples: int, batch_size: int, family: Family, *, smooth: bool
) -> Optimization:
    """Asks for the optimizer and everything around it.

    Args:
        examples: the number of training examples.
        batch_size: the smallest, unless an epoch would have too few steps.
        smooth: whether labels may be smoothed.
    """
    usual = _USUAL.get(family, _USUAL_PLAIN)
    sizes = batch_sizes(examples, batch_size)
    # Of two classes, or of labels that are rare, smoothed ones say something else: the area under a curve suffers.
    several = target.task == "classification" and len(target.class_names) > 2
    return Optimization(
        optimizer="adamw",
        learning_rate=hp.Float("learning_rate", 5e-4, usual.highest_rate, sampling="log", default=usual.rate),
        weight_decay=hp.Float("weight_decay", 1e-4, 5e-1, sampling="log", default=usual.decay),
        momentum=None,
        schedule=hp.Choice("schedule", list(usual.schedules), default=usual.schedules[0]),
        label_smoothing=hp.Choice("label_smoothing", [0.0, 0.05, 0.1], default=usual.smoothing if several else 0.0)
        if smooth and target.task != "regression"
        else 0.0,
        batch_size=hp.Choice("batch_size", sizes, default=_default_batch(sizes, examples)),
        beta_2=usual.beta_2,
    )


def batch_sizes(examples: int, smallest: int) -> list[int]:
    """``smallest`` and its doubles, as long as an epoch keeps 10 steps; of few examples batches are of 8 or more."""
    while smallest > max(examples / _FEWEST_STEPS, _SMALLEST_BATCH):
        smallest = max(smallest // 2, _SMALLEST_BATCH)
    sizes = [smallest]
    while sizes[-1] * 2 <= min(_LARGEST_BATCH, examples / _FEWEST_STEPS):
        sizes.append(sizes[-1] * 2)
    return sizes


def _default_batch(sizes: Sequence[int], examples: int) -> int:
    return max((size for size in sizes if size <= examples / _STEPS), default=sizes[0])
