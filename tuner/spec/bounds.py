"""How large, how deep and how many: what a spec may be before anything is made of it.

A few bytes of YAML can stand for millions of values by aliases, and code that follows nested data by calling itself
ends where the stack does. Real specs are far below these bounds; the widest have a line for each of some thousand
columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tuner.errors import Problem

MOST_BYTES = 2**20
MOST_VALUES = 50_000
DEEPEST = 50
# One half of a pair of UTF-16, which JSON can escape alone: no text has it, and no file or database takes it.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_SIZE = f"this is larger than {MOST_BYTES // 2**20} MiB, and no more is read"
_VALUES = f"there may be at most {MOST_VALUES:,} values, aliases written out"
_DEPTH = f"this is nested more than {DEEPEST} levels deep"


class TooMuch(ValueError):
    """A text or its values are beyond the bounds."""


class Counted:
    """Counts values as they come, and holds them to the bounds.

    Attributes:
        line: of a text, from 1, at which the next ones are; None of data.
    """

    def __init__(self) -> None:
        self.values = 0
        self.line: int | None = None

    def add(self, count: int, depth: int) -> None:
        """Raises TooMuch."""
        self.values += count
        if self.values > MOST_VALUES:
            raise TooMuch(_VALUES + ("" if self.line is None else f"; this one has more in line {self.line}"))
        if depth > DEEPEST:
            raise TooMuch(_DEPTH + ("" if self.line is None else f", in line {self.line}"))


def check_size(text: str | bytes) -> None:
    """Raises TooMuch."""
    # Each character has one byte at least.
    if len(text) > MOST_BYTES or (isinstance(text, str) and len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES):
        raise TooMuch(_SIZE)


def out_of_bounds(raw: Any) -> list[Problem]:
    """What of data, as JSON or YAML gave it, is beyond the bounds or no text, by key."""
    found: list[Problem] = []
    counted = Counted()
    try:
        for key, value, depth in _everything(raw):
            counted.add(1, depth)
            if isinstance(value, str) and _LONE_SURROGATE.search(value):
                found.append(Problem(_printable(key), "has half of a surrogate pair, which is no text"))
    except TooMuch as error:
        return [Problem("", str(error))]
    return found


def _everything(raw: Any) -> Iterator[tuple[str, Any, int]]:
    """Every value with its dotted key and its depth, keys of mappings among them."""
    left: list[tuple[str, Any, int]] = [("", raw, 0)]
    while left:
        key, value, depth = left.pop()
        yield key, value, depth
        if isinstance(value, Mapping):
            for name, each in value.items():
                at = f"{key}.{name}" if key else str(name)
                yield at, name, depth + 1
                left.append((at, each, depth + 1))
        elif isinstance(value, list | tuple):
            left += ((key, each, depth + 1) for each in value)


def _printable(key: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", key)
