"""Asks for the hyperparameters of the text space. Every default is a good first trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal

import keras_tuner

from search_spaces.optimization import Optimization
from search_spaces.statistics import TextStatistics, Tokenization
from search_spaces.texts import config as config
from search_spaces.texts.config import BAGS, SEQUENCES, Family

# Tokenizations whose number of tokens bounds the vocabularies that are tried.
WORDS = Tokenization()
WORD_PAIRS = Tokenization(ngrams=2)
CHARACTERS = Tokenization(split="character", ngrams=3)
# Beside words.
_CHARACTERS_BESIDE_WORDS = 5
_BATCH_OF_LINEAR = 256

_VOCABULARIES = (500, 1000, 2500, 5000, 10_000, 20_000, 40_000, 80_000)
_DEFAULT_VOCABULARY = 20_000
# Attention and recurrence over more would take most of a search's time.
_LONGEST = 512
_DEFAULT_LONGEST = 256
# Where nothing is known of the texts' lengths.
_ANY_LENGTHS = (64, 128, 256)
_BATCH_SIZES = (16, 32, 64, 128)
# The first trial has at least so many steps in an epoch, as far as its batches can be larger than the spec's.
_STEPS = 20
# Models of few steps from input to output stand, and need, larger steps of the optimizer.
_SHALLOW: tuple[Family, ...] = ("bag", "pooling")
_DEEP: tuple[Family, ...] = SEQUENCES[1:]

CountDistinct = Callable[[Tokenization], int]


def ask_family(hp: keras_tuner.HyperParameters, families: Sequence[Family]) -> Family:
    return hp.Choice("family", list(families))


def _only_for(
    hp: keras_tuner.HyperParameters, some: Sequence[Family], families: Sequence[Family]
) -> AbstractContextManager[None]:
    # A condition that always holds would only make names longer.
    those = [family for family in families if family in some]
    return nullcontext() if those == list(families) else hp.conditional_scope("family", those)


def ask_vectorizations(
    hp: keras_tuner.HyperParameters,
    family: Family,
    families: Sequence[Family],
    statistics: TextStatistics | None,
    count_distinct: CountDistinct,
    max_vocabulary: int,
) -> tuple[config.Vectorization, ...]:
    """Asks for those of all ``families``; gives that of ``family``.

    Args:
        statistics: of the training texts.
        count_distinct: how many different tokens they have.
        max_vocabulary: no vocabulary is larger.
    """
    rules = "unspaced" if statistics is None else statistics.rules
    name = hp.Choice("standardize", ["lower_and_strip_punctuation", "lower", "none"])
    standardize = None if name == "none" else name
    if any(each in families for each in BAGS):
        with _only_for(hp, BAGS, families):
            weighting = hp.Choice("weighting", ["multi_hot", "tf_idf", "log_tf_idf"], default="log_tf_idf")
            token = hp.Choice("token", ["words", "characters", "both"], default="both")
            of_words, of_characters = (["words", "both"], [1, 2], WORD_PAIRS), (["characters"], [3, 4, 5], CHARACTERS)
            for tokens, ngrams, bound in (of_words, of_characters):
                with hp.conditional_scope("token", tokens):
                    hp.Choice("ngrams", ngrams)
                    _ask_vocabulary(hp, count_distinct(replace(bound, rules=rules)), max_vocabulary)
    sequences = [each for each in families if each in SEQUENCES]
    if sequences:
        with _only_for(hp, sequences, families):
            _ask_vocabulary(hp, count_distinct(replace(WORDS, rules=rules)), max_vocabulary)
            sizes = lengths(statistics)
            hp.Choice("sequence_length", sizes, default=_default_length(sizes, statistics))
    if family not in BAGS:
        length = hp.get("sequence_length")
        return (config.Vectorization(Tokenization(standardize, rules=rules), hp.get("vocabulary"), length=length),)
    split: Literal["whitespace", "character"] = "character" if token == "characters" else "whitespace"
    tokenization = Tokenization(standardize, split, hp.get("ngrams"), rules)
    asked = config.Vectorization(tokenization, hp.get("vocabulary"), weighting)
    if token != "both":
        return (asked,)
    # Among characters, punctuation is as telling as letters.
    characters = Tokenization(standardize and "lower", "character", _CHARACTERS_BESIDE_WORDS, rules)
    return asked, config.Vectorization(characters, max_vocabulary, weighting)


def _ask_vocabulary(hp: keras_tuner.HyperParameters, distinct: int, most: int) -> None:
    sizes = vocabularies(distinct, most)
    hp.Choice("vocabulary", sizes, default=max(size for size in sizes if size <= max(_DEFAULT_VOCABULARY, sizes[0])))


def vocabularies(distinct: int, most: int) -> list[int]:
    """The sizes worth trying where there are so many different tokens: the largest one takes in all, or is ``most``."""
    sizes = [size for size in _VOCABULARIES if size < most] + [most]
    enough = next((size for size in sizes if size >= distinct), most)
    return [size for size in sizes if size <= enough]


def lengths(statistics: TextStatistics | None) -> list[int]:
    """The numbers of tokens at which texts may be cut off: those of most, nearly all and all training texts."""
    if statistics is None:
        return list(_ANY_LENGTHS)
    return sorted({_length(statistics.words[share]) for share in (50, 75, 90, 95, 99, 100)})


def _length(words: int) -> int:
    """A multiple of 8, which suits accelerators."""
    return min(max(8, -(-words // 8) * 8), _LONGEST)


def _default_length(sizes: Sequence[int], statistics: TextStatistics | None) -> int:
    wanted = _length(statistics.words[95]) if statistics else max(_ANY_LENGTHS)
    return max(size for size in sizes if size <= max(min(wanted, _DEFAULT_LONGEST), sizes[0]))


def ask_bag(
    hp: keras_tuner.HyperParameters, family: Family, families: Sequence[Family], classes: bool
) -> config.Bag | None:
    """Asks for what models of bags are like; ``classes``: whether there are any to tell apart."""
    if not any(each in families for each in BAGS):
        return None
    with _only_for(hp, BAGS, families):
        unit_length = bool(hp.Boolean("unit_length", default=True))
    if "linear" in families:
        with _only_for(hp, ["linear"], families):
            ratios = bool(hp.Boolean("ratios", default=True)) if classes else False
            # Batches do nothing but show how good the model is.
            hp.Fixed("batch_size", _BATCH_OF_LINEAR)
    if "bag" in families:
        with _only_for(hp, ["bag"], families):
            layers = hp.Int("hidden_layers", 1, 2)
            units = hp.Choice("hidden_units", [16, 32, 64, 128], default=64)
    if family == "linear":
        return config.Bag(unit_length, ratios=ratios)
    return config.Bag(unit_length, units=(units,) * layers) if family == "bag" else None


def ask_sequence(hp: keras_tuner.HyperParameters, family: Family, families: Sequence[Family]) -> config.Sequence | None:
    sequences = [each for each in families if each in SEQUENCES]
    if not sequences:
        return None
    with _only_for(hp, sequences, families):
        asked = config.Sequence(
            embedding=hp.Choice("embedding", [32, 64, 128, 256], default=128),
            embedding_dropout=hp.Float("embedding_dropout", 0.0, 0.5, step=0.1, default=0.2),
            pooling=hp.Choice("pooling", ["average", "maximum", "both"], default="both"),
            units=hp.Choice("dense_units", [0, 64, 128], default=64),
        )
    return None if family in BAGS else asked


def ask_body(hp: keras_tuner.HyperParameters, family: Family, families: Sequence[Family]) -> config.Body | None:
    """Asks for what is between embedding and pooling in all ``families``; gives that of ``family``."""
    bodies: dict[Family, config.Body] = {}
    for each, ask in _BODIES.items():
        if each in families:
            with _only_for(hp, [each], families):
                bodies[each] = ask(hp)
    return bodies.get(family)


def _ask_convolution(hp: keras_tuner.HyperParameters) -> config.Body:
    return config.Convolution(
        blocks=hp.Int("blocks", 1, 3, default=1),
        filters=hp.Choice("filters", [64, 128, 256], default=128),
        kernel_size=hp.Choice("kernel_size", [3, 5, 7], default=3),
    )


def _ask_recurrent(hp: keras_tuner.HyperParameters) -> config.Body:
    return config.Recurrent(
        cell=hp.Choice("cell", ["lstm", "gru"]),
        layers=hp.Int("recurrent_layers", 1, 2, default=1),
        units=hp.Choice("recurrent_units", [32, 64, 128], default=64),
        bidirectional=bool(hp.Boolean("bidirectional", default=True)),
    )


def _ask_transformer(hp: keras_tuner.HyperParameters) -> config.Body:
    return config.Transformer(
        layers=hp.Int("transformer_layers", 1, 3, default=1),
        heads=hp.Choice("heads", [2, 4, 8], default=4),
        expansion=hp.Choice("expansion", [1, 2, 4], default=2),
    )


_BODIES: dict[Family, Callable[[keras_tuner.HyperParameters], config.Body]] = {
    "convolution": _ask_convolution,
    "recurrent": _ask_recurrent,
    "transformer": _ask_transformer,
}


def ask_optimization(
    hp: keras_tuner.HyperParameters,
    family: Family,
    families: Sequence[Family],
    examples: int,
    batch_size: int,
    smooth: bool,
) -> tuple[float, Optimization | None]:
    """Asks for dropout, the optimizer and everything around it; gives 0 and None of linear models.

    Args:
        examples: the number of training examples, which no batch size exceeds.
        batch_size: the default where texts are few.
        smooth: whether labels can be smoothed.
    """
    trained = [each for each in families if each != "linear"]
    if not trained:
        return 0.0, None
    with _only_for(hp, trained, families):
        dropout = hp.Float("dropout", 0.0, 0.6, step=0.1, default=0.4)
        optimizer = hp.Choice("optimizer", ["adamw", "rmsprop"])
    for those, low, high, default in ((_SHALLOW, 1e-3, 1e-1, 3e-2), (_DEEP, 3e-4, 1e-2, 1e-3)):
        if any(each in families for each in those):
            with _only_for(hp, those, families):
                hp.Float("learning_rate", low, high, sampling="log", default=default)
    sizes = sorted({size for size in _BATCH_SIZES if size <= examples} | {batch_size})
    usual = max((size for size in _BATCH_SIZES if size <= examples / _STEPS), default=batch_size)
    with _only_for(hp, trained, families):
        weight_decay = hp.Float("weight_decay", 1e-4, 3e-1, sampling="log", default=1e-2)
        schedule = hp.Choice("schedule", ["constant", "cosine", "warmup_cosine"], default="warmup_cosine")
        smoothing = hp.Float("label_smoothing", 0.0, 0.1, step=0.05, default=0.0) if smooth else 0.0
        hp.Choice("batch_size", sizes, default=max(usual, batch_size))
    if family == "linear":
        return 0.0, None
    return dropout, Optimization(
        optimizer=optimizer,
        learning_rate=hp.get("learning_rate"),
        weight_decay=weight_decay,
        momentum=None,
        schedule=schedule,
        label_smoothing=smoothing,
        batch_size=hp.get("batch_size"),
    )


def ask_class_weight(hp: keras_tuner.HyperParameters) -> str:
    weighting: str = hp.Choice("class_weight", ["none", "sqrt", "balanced"])
    return weighting
