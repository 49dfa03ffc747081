"""Lines as they come through a pipe, from a terminal or out of a file."""

from __future__ import annotations

import codecs
import os
import select
from collections.abc import Iterator
from dataclasses import dataclass

_CHUNK = 2**16
# As of a row of a CSV file.
LONGEST_MIB = 64
_LONGEST = LONGEST_MIB * 2**20


@dataclass(frozen=True)
class Line:
    """A line without its end.

    Attributes:
        number: from 1.
        content: None of a line that is longer than ``LONGEST_MIB``.
    """

    number: int
    content: bytes | None


def lines_of(descriptor: int) -> Iterator[Line | None]:
    """All lines until the end, and None wherever nothing more is there yet: then it is time to answer.

    Lines of white space are left out, and so is a byte order mark; a last line needs no end.

    Raises:
        OSError: it cannot be read.
    """
    number, rest, too_long = 0, bytearray(), False
    while chunk := os.read(descriptor, _CHUNK):
        *whole, last = chunk.split(b"\n")
        for part in whole:
            rest += part
            number += 1
            if line := _line(number, rest, too_long):
                yield line
            rest, too_long = bytearray(), False
        rest += last
        if len(rest) > _LONGEST:
            rest, too_long = bytearray(), True
        if not select.select([descriptor], [], [], 0)[0]:
            yield None
    if line := _line(number + 1, rest, too_long):
        yield line


def _line(number: int, content: bytearray, too_long: bool) -> Line | None:
    if too_long:
        return Line(number, None)
    found = bytes(content)
    if number == 1:
        found = found.removeprefix(codecs.BOM_UTF8)
    return Line(number, found) if found.strip() else None
