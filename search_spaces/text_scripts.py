"""What the world's scripts need of whoever divides texts into words; nothing here needs Keras."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from search_spaces.statistics import TextRules

# Scripts that put no blanks between words, first and last characters: Han, kana, Bopomofo; Thai, Lao, Myanmar, Khmer.
UNSPACED = (
    *((0x3005, 0x3007), (0x3031, 0x3035), (0x3040, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF)),
    *((0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF)),
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x19E0, 0x19FF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
)
_UNSPACED = re.compile("([" + "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED) + "])")
# On a character of those scripts.
_MARKED = re.compile(
    " +(["
    + "".join(
        chr(code)
        for first, last in UNSPACED
        if last - first < 0x1000
        for code in range(first, last + 1)
        if unicodedata.category(chr(code)).startswith("M")
    )
    + "])"
)
# First and last characters that nobody sees and that no word is spelled with: soft hyphens, marks of direction, the
# word joiner, a byte order mark within a text.
INVISIBLE = (
    *((0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200E, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064)),
    *((0x2066, 0x206F), (0xFEFF, 0xFEFF)),
)
# Divides words, though Unicode counts it among formats.
ZERO_WIDTH_SPACE = 0x200B


def words_of(text: str) -> list[str]:
    """The words of a text; in scripts without blanks each character, with the marks on it, is one."""
    if text.isascii():
        return text.split()
    apart = _UNSPACED.sub(r" \1 ", text.replace(chr(ZERO_WIDTH_SPACE), " "))
    return _MARKED.sub(r"\1", apart).split()


class ScriptsMet:
    """Finds the rules that texts need, from their characters."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self.rules: TextRules = "ascii"

    def add(self, texts: Iterable[str]) -> None:
        """Adds texts."""
        for text in texts:
            if not text.isascii():
                fresh = set(text) - self._known
                self._known |= fresh
                if any(_UNSPACED.match(letter) for letter in fresh):
                    self.rules = "unspaced"
                elif self.rules == "ascii" and any(map(_is_beyond, fresh)):
                    self.rules = "unicode"


def _is_beyond(letter: str) -> bool:
    """Whether a character that is not ASCII has a case, is punctuation, a blank or invisible."""
    if letter.isascii():
        return False
    kind = unicodedata.category(letter)
    cased = letter.lower() != letter or letter.upper() != letter
    invisible = any(first <= ord(letter) <= last for first, last in INVISIBLE)
    return cased or invisible or kind[0] in "PZ" or ord(letter) == ZERO_WIDTH_SPACE
