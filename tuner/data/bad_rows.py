"""Rows that cannot be used: all of them counted, the first ones named."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tuner.data.bad_files import LISTED, BadFile, printable
from tuner.errors import DataError

# Each kind of problem adds at most this many rows to the list, of which the first ones are shown.
_KEPT = 10 * LISTED


class BadRows:
    """Collects them, kind of problem by kind of problem.

    Args:
        sources: the splits that are read; with one only, a row is named without it.
        what: a row's name.
        first: the number of the first one.
    """

    def __init__(self, sources: Sequence[str], what: str = "row", first: int = 1) -> None:
        self._what, self._from = what, first
        self._order = {source: place for place, source in enumerate(sources)}
        self._listed: dict[tuple[int, int], BadFile] = {}

    def add(self, source: str, places: npt.NDArray[np.int64] | Sequence[int], reason: str) -> None:
        """Adds rows of a source by their places, from 0; a row's first reason counts."""
        prefix = f"{source} " if len(self._order) > 1 else ""
        for place in places[:_KEPT]:
            name = f"{prefix}{self._what} {int(place) + self._from}"
            self._listed.setdefault((self._order[source], int(place)), BadFile(name, reason))

    @property
    def first(self) -> tuple[BadFile, ...]:
        """The first ones, in their order."""
        return tuple(bad for _, bad in sorted(self._listed.items())[:LISTED])

    def error(
        self,
        count: int,
        where: str | os.PathLike[str],
        advice: str = "Repair or remove them, or set data.on_error to skip",
    ) -> DataError:
        """The error that names the first ones of ``count`` bad rows of a file."""
        shown = "; ".join(str(bad) for bad in self.first)
        more = "" if count <= len(self.first) else f"; and {count - len(self.first)} more"
        counted = "count from 1 without the header" if self._from else "count from 0"
        return DataError(
            f"{count} {self._what}{'s' if count != 1 else ''} of {printable(os.fspath(where))} cannot be used: {shown}"
            f"{more}. {self._what.capitalize()}s {counted}. {advice}",
            [bad.file for bad in self.first],
            key="data.on_error",
        )
