"""What is known about the training split's columns, so that no trial has to adapt a layer by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

# A missing value of an integer category.
INTEGER_MISSING = -(2**63)


@dataclass(frozen=True)
class NumberStatistics:
    """Of a column of numbers; everything but ``missing`` is over those that are there.

    Attributes:
        missing: how many values are missing.
        distinct: how many different values there are, at most 1,000.
        quantiles: at 0, 1, ..., 100 percent.
    """

    missing: int
    distinct: int
    mean: float
    variance: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Thresholds:
    """Where a column of numbers can be divided into intervals.

    Attributes:
        telling: thresholds of a decision tree that predicts the target from this column alone, the one that tells most
            first, at most 63; all between the smallest value and the largest.
        distinct: the different values, ascending, or 65 that are evenly spaced among them; float32.
    """

    telling: tuple[float, ...]
    distinct: tuple[float, ...]


class FindThresholds(Protocol):
    """Finds the thresholds of the training split's columns of numbers, or what was found before."""

    def __call__(self) -> Mapping[str, Thresholds]:
        """By column; without those whose values are all missing."""


@dataclass(frozen=True)
class CategoryStatistics:
    """Of a column of categories.

    Attributes:
        missing: how many values are missing.
        values: the different ones, the most frequent first, equally frequent ones in their order.
        counts: how often each of them stands there.
    """

    missing: int
    values: tuple[str, ...] | tuple[int, ...]
    counts: tuple[int, ...]


# Keras's own, which know ASCII alone; Unicode's; and these where each character of scripts without blanks is a word.
TextRules = Literal["ascii", "unicode", "unspaced"]


@dataclass(frozen=True)
class TextStatistics:
    """Of a column of texts.

    Attributes:
        words: quantiles of the number of words, see ``search_spaces.text_scripts``, at 0, 1, ..., 100 percent.
        characters: likewise of the number of characters.
        rules: those that they need.
    """

    words: tuple[int, ...]
    characters: tuple[int, ...]
    rules: TextRules = "ascii"


Statistics = NumberStatistics | CategoryStatistics | TextStatistics


@dataclass(frozen=True)
class TargetStatistics:
    """Of each number of a regression target, shape (numbers,); what nobody found is empty.

    Attributes:
        least: the smallest one.
        skewness: the third standardized moment.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    least: tuple[float, ...] = ()
    skewness: tuple[float, ...] = ()


Standardization = Literal["lower_and_strip_punctuation", "lower", "strip_punctuation"] | None


@dataclass(frozen=True)
class Tokenization:
    """How texts become tokens, in the words of ``keras.layers.TextVectorization``.

    Attributes:
        rules: by which they are lowered, stripped and divided.
    """

    standardize: Standardization = "lower_and_strip_punctuation"
    split: Literal["whitespace", "character"] = "whitespace"
    ngrams: int | None = None
    rules: TextRules = "ascii"


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of the training texts, the most frequent first, in the order that ``TextVectorization.adapt`` gives them.

    Attributes:
        tokens: strings; all, or as many of the most frequent ones as were asked for.
        counts: shape (tokens,), int64: how often each stands in all texts.
        documents: shape (tokens,), int64: how many texts hold it.
        texts: how many texts there are.
        distinct: how many different tokens there are.
    """

    tokens: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    texts: int
    distinct: int

    def inverse_document_frequencies(self) -> npt.NDArray[np.float32]:
        """What ``TextVectorization`` weighs each token by in its mode ``tf_idf``, shape (tokens,)."""
        return np.log(1 + self.texts / (1 + self.documents)).astype(np.float32)


class CountTokens(Protocol):
    """Counts tokens, or finds what was counted before."""

    def __call__(self, tokenization: Tokenization, most: int | None = None) -> TokenCounts:
        """Args: ``most``: give no more than so many of the most frequent tokens; None gives all."""
