"""Which type a table's column has: the one place that decides it, from all rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as compute

from tuner.data.bad_files import printable
from tuner.data.cells import integers, numbers
from tuner.errors import DataError
from tuner.spec.data import ColumnType

# Integers with at most this many different values stand for categories.
INTEGER_CATEGORIES = 20
# A column with this share of numbers is meant to hold numbers: the others are mistakes.
NEARLY_ALL = 0.95
# Categories of which there are more are kept one by one instead of in a list of all of them.
LISTED_CATEGORIES = 50_000


@dataclass(frozen=True)
class _Cell:
    place: int
    value: str
    file: str

    def __str__(self) -> str:
        return f"row {self.place + 1} of {printable(self.file)} holds {self.value[:80]!r}"


class ColumnProfile:
    """What a column holds, row by row, in memory that does not grow with it.

    Args:
        name: the column's.
        declared: the type that the spec gives.
        floats: whether the file itself says that it holds floating-point numbers.
    """

    def __init__(self, name: str, declared: ColumnType | None, floats: bool) -> None:
        self._name, self._declared, self._floats = name, declared, floats
        self._present = self._numbers = 0
        self._whole = True
        self._other: _Cell | None = None
        self._infinite: _Cell | None = None
        self._distinct: set[int] = set()

    def add(self, strings: Any, places: npt.NDArray[np.int64], file: str) -> None:
        """Adds strings (n,) and their rows' places."""
        if self._declared in ("category", "text"):
            self._present += int(compute.sum(compute.not_equal(strings, "")).as_py() or 0)
        else:
            self._add_numbers(strings, places, file)
        if len(self._distinct) <= LISTED_CATEGORIES:
            self._distinct.update(hash(value) for value in compute.unique(strings).to_pylist())

    def _add_numbers(self, strings: Any, places: npt.NDArray[np.int64], file: str) -> None:
        read = numbers(strings)
        other = integers(strings)[1] if self._declared == "integer" else read.other
        self._present += int((~read.missing).sum())
        self._numbers += int((~read.missing & ~other).sum())
        self._whole = self._whole and read.whole
        self._other = self._other or _first(strings, places, file, other)
        self._infinite = self._infinite or _first(strings, places, file, read.infinite)

    @property
    def many(self) -> bool:
        """Whether there are more different values than a list of categories may have."""
        return len(self._distinct) > LISTED_CATEGORIES

    def type(self) -> ColumnType:
        """The declared type; else ``number`` for floating-point columns of the file and for columns of numbers alone,
        ``integer`` for integers with at most 20 different values, ``category`` for everything else.

        Raises:
            DataError: it holds nothing, or something else than its type in a row.
        """
        if not self._present:
            raise DataError(f"column {self._name!r} is empty in every row: name it in data.ignore", key="data.ignore")
        found = self._declared or self._inferred()
        if found in ("number", "integer") and self._other:
            raise DataError(self._mistaken(found, self._other), key=self._key)
        if found == "number" and self._infinite:
            raise DataError(
                f"column {self._name!r}: {self._infinite}, which is infinite or beyond float32's range: "
                f"repair it, or set data.columns: {{{self._name}: category}}",
                key=self._key,
            )
        return found

    @property
    def _key(self) -> str:
        return f"data.columns.{self._name}"

    def _inferred(self) -> ColumnType:
        if self._floats:
            return "number"
        if self._numbers < NEARLY_ALL * self._present:
            return "category"
        few = len(self._distinct) <= INTEGER_CATEGORIES + 1 and self._categories <= INTEGER_CATEGORIES
        return "integer" if self._whole and few else "number"

    @property
    def _categories(self) -> int:
        return len(self._distinct - {hash("")})

    def _mistaken(self, found: ColumnType, other: _Cell) -> str:
        if self._declared:
            return (
                f"column {self._name!r}: {other}, which is no {found}: repair it, or set data.columns: "
                f"{{{self._name}: category}}"
            )
        return (
            f"column {self._name!r} holds numbers in {self._numbers} of {self._present} rows, but {other}: repair "
            f"it, or set data.columns: {{{self._name}: category}}"
        )


def _first(strings: Any, places: npt.NDArray[np.int64], file: str, which: npt.NDArray[np.bool_]) -> _Cell | None:
    if not which.any():
        return None
    index = int(np.argmax(which))
    return _Cell(int(places[index]), strings[index].as_py(), file)


def missing_column(name: str, key: str, names: Collection[str], file: str) -> DataError:
    """The error for a column that the spec names and the file lacks."""
    near = get_close_matches(name, names, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(map(repr, list(names)[:30])) + (", ..." if len(names) > 30 else "")
    return DataError(
        f"{printable(file)} has no column {name!r} (data.{key}); {meant}It has {listed}", key=f"data.{key}"
    )
