"""Texts lowered, stripped and divided by Unicode's rules, of TensorFlow's operations.

``TextVectorization`` has rules of its own for ASCII alone. The class is registered with Keras: a SavedModel has its
operations in it, and a ``.keras`` file names it, so that whoever loads one imports this module first: it stays where
model cards say it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf

from search_spaces.statistics import Tokenization
from search_spaces.text_scripts import INVISIBLE, UNSPACED, ZERO_WIDTH_SPACE

# All of Unicode's punctuation, and what Keras strips of ASCII beside it.
_PUNCTUATION = r"[\p{P}$+<=>^`|~]"
# Characters that nobody sees, but no joiners, which words are spelled with.
_INVISIBLE = "[" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in INVISIBLE) + "]"
# One letter to one, by Unicode's simple mapping: the full one leaves a dot behind that no small letter has.
_DOTTED_CAPITAL = "\u0130"
_BLANKS = rf"[\p{{Z}}\s\x0b\x1c-\x1f\x{{85}}\x{{{ZERO_WIDTH_SPACE:x}}}]+"
_CHARACTER = "([" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in UNSPACED) + r"])"
_MARKED = r" +(\p{M})"


@keras.saving.register_keras_serializable("search_spaces")
@dataclass(frozen=True)
class UnicodeStandardization:
    """What is done to texts, string (batch,), before they are split at white space or into characters.

    Attributes:
        lower: capitals become small letters; the Greek sigma is one letter wherever it stands, as in case folding.
        strip: punctuation is removed, and so is what is invisible.
        spaces: all kinds of blanks become spaces.
        divide: each character of a script without blanks between words stands by itself, with its marks.
    """

    lower: bool
    strip: bool
    spaces: bool
    divide: bool

    def __call__(self, texts: Any) -> Any:
        if self.lower:
            texts = tf.strings.lower(tf.strings.regex_replace(texts, _DOTTED_CAPITAL, "i"), encoding="utf-8")
            texts = tf.strings.regex_replace(texts, "ς", "σ")
        if self.strip:
            texts = tf.strings.regex_replace(tf.strings.regex_replace(texts, _PUNCTUATION, ""), _INVISIBLE, "")
        if self.divide:
            texts = tf.strings.regex_replace(texts, _CHARACTER, r" \1 ")
            texts = tf.strings.regex_replace(texts, _MARKED, r"\1")
        return tf.strings.regex_replace(texts, _BLANKS, " ") if self.spaces else texts

    def get_config(self) -> dict[str, bool]:
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, bool]) -> UnicodeStandardization:
        return cls(**config)


def standardizer(tokenization: Tokenization) -> str | UnicodeStandardization | None:
    """What ``TextVectorization`` takes as ``standardize``."""
    name, by_words = tokenization.standardize, tokenization.split == "whitespace"
    if tokenization.rules == "ascii" or (name is None and not by_words):
        return name
    return UnicodeStandardization(
        lower=name in ("lower", "lower_and_strip_punctuation"),
        strip=name in ("strip_punctuation", "lower_and_strip_punctuation"),
        spaces=by_words,
        divide=by_words and tokenization.rules == "unspaced",
    )
