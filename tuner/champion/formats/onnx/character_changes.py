"""What the standardization of texts does to each character, found by trying it on all of Unicode's."""

from __future__ import annotations

import string
from collections.abc import Collection
from dataclasses import replace

import tensorflow as tf

from search_spaces.text_standardization import UnicodeStandardization

LOWER, STRIP = "lower", "strip_punctuation"
_NOTHING = UnicodeStandardization(lower=False, strip=False, spaces=False, divide=False)
# Without surrogates, which stand in no text, and NUL, which ends one for some runtimes.
_ALL = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]


def character_changes(
    standardize: str | UnicodeStandardization | None, alphabet: Collection[str]
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The characters for which others are put, and those that are removed after that.

    Args:
        standardize: of a ``TextVectorization``.
        alphabet: the characters of the tokens that it knows. Small letters that are in none of them are not put for
            their capitals: the token is unknown with either.
    """
    if isinstance(standardize, UnicodeStandardization):
        return _of_unicode(standardize, set(alphabet))
    lowered = [(letter, letter.lower()) for letter in string.ascii_uppercase] if LOWER in (standardize or "") else []
    return tuple(lowered), tuple(string.punctuation) if STRIP in (standardize or "") else ()


def _of_unicode(
    standardize: UnicodeStandardization, alphabet: set[str]
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    changes: list[tuple[str, str]] = []
    if standardize.lower:
        lowered = _changed(replace(_NOTHING, lower=True))
        # One that becomes several counts as several among characters.
        changes += [(a, b) for a, b in lowered.items() if len(b) > 1 or {a, *b} & alphabet]
    if standardize.spaces:
        changes += _changed(replace(_NOTHING, spaces=True)).items()
    removed = tuple(_changed(replace(_NOTHING, strip=True))) if standardize.strip else ()
    return tuple(changes), removed


def _changed(standardize: UnicodeStandardization) -> dict[str, str]:
    with tf.device("/CPU:0"):
        given = standardize(tf.constant(_ALL)).numpy()
    found = {before: after.decode() for before, after in zip(_ALL, given, strict=True)}
    return {before: after for before, after in found.items() if before != after}
