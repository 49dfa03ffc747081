"""Which type a table's column has: the one place that decides it, from all rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute as compute

from tuner.data.bad_files import printable
from tuner.data.cells import bare, decimal_comma, integers, like_numbers, numbers
from tuner.errors import DataError
from tuner.spec.data import ColumnType

# Integers with at most this many different values stand for categories.
INTEGER_CATEGORIES = 20
# A column with this share of numbers is meant to hold numbers: the others are mistakes.
NEARLY_ALL = 0.95
# Categories of which there are more are kept one by one instead of in a list of all of them.
LISTED_CATEGORIES = 50_000


# Where fewer are numbers, as many as this share, and all else is the same few words, these stand for what is missing.
_MOST = 0.5
_FEW_WORDS = 3
_SAMPLED = 1000


@dataclass(frozen=True)
class _Cell:
    place: int
    value: str
    file: str

    def __str__(self) -> str:
        return f"row {self.place + 1} of {printable(self.file)} holds {self.value[:80]!r}"


class _EvenSample:
    """Every 1st, 2nd, 4th ... number, so that few are kept of all of a column."""

    def __init__(self) -> None:
        self._kept = np.zeros(0)
        self._seen, self._step = 0, 1

    def add(self, values: npt.NDArray[np.float64]) -> None:
        self._kept = np.concatenate([self._kept, values[-self._seen % self._step :: self._step]])
        self._seen += len(values)
        while len(self._kept) > _SAMPLED:
            self._kept, self._step = self._kept[::2], 2 * self._step

    def told_apart(self) -> tuple[int, int]:
        """How many different numbers there are, and how many of them are different in float32."""
        with np.errstate(over="ignore"):
            return len(np.unique(self._kept)), len(np.unique(self._kept.astype(np.float32)))


class ColumnProfile:
    """What a column holds, row by row, in memory that does not grow with it.

    Args:
        name: the column's.
        declared: the type that the spec gives.
        floats: whether the file itself says that it holds floating-point numbers.
        delimiter: between the file's values.
    """

    def __init__(self, name: str, declared: ColumnType | None, floats: bool, delimiter: str = ",") -> None:
        self._name, self._declared, self._floats, self._delimiter = name, declared, floats, delimiter
        self._present = self._numbers = self._like = 0
        self._whole = True
        # The first cell of each kind that was met.
        self._met: dict[str, _Cell] = {}
        self._words: set[str] = set()
        self._distinct: set[int] = set()
        self._sample = _EvenSample()

    def add(self, strings: Any, places: npt.NDArray[np.int64], file: str) -> None:
        """Adds strings (n,) and their rows' places."""
        strings = strings if self._declared == "text" else bare(strings)
        if self._declared in ("category", "text"):
            self._present += int(compute.sum(compute.not_equal(strings, "")).as_py() or 0)
        else:
            self._add_numbers(strings, places, file)
        if len(self._distinct) <= LISTED_CATEGORIES:
            self._distinct.update(hash(value) for value in compute.unique(strings).to_pylist())

    def _add_numbers(self, strings: Any, places: npt.NDArray[np.int64], file: str) -> None:
        read = numbers(strings, decimal_comma(self._delimiter))
        other = integers(strings)[1] if self._declared == "integer" else read.other
        self._present += int((~read.missing).sum())
        self._numbers += int((~read.missing & ~other).sum())
        self._whole = self._whole and read.whole
        decimals = read.commas if self._delimiter == ";" else read.commas & ~read.thousands
        kinds = {"other": other, "infinite": read.infinite, "commas": read.commas, "points": read.points}
        kinds |= {"decimals": decimals, "decimal points": read.points & ~read.grouped}
        for kind, which in kinds.items():
            if kind not in self._met and which.any():
                index = int(np.argmax(which))
                self._met[kind] = _Cell(int(places[index]), strings[index].as_py(), file)
        self._sample.add(read.values[np.isfinite(read.values)])
        if other.any() and self._declared is None:
            self._add_words(strings.filter(pyarrow.array(other)))

    def _add_words(self, words: Any) -> None:
        self._like += int(like_numbers(words).sum())
        if len(self._words) <= _FEW_WORDS:
            self._words.update(compute.unique(words).to_pylist())

    def found(self, kind: Literal["commas", "grouped"]) -> str | None:
        """The first number with a decimal comma, or with a point where every point could divide thousands."""
        if kind == "grouped":
            return None if "decimal points" in self._met or "points" not in self._met else str(self._met["points"])
        return str(self._met["commas"]) if "commas" in self._met else None

    @property
    def many(self) -> bool:
        """Whether there are more different values than a list of categories may have."""
        return len(self._distinct) > LISTED_CATEGORIES

    def type(self) -> ColumnType:
        """The declared type; else ``number`` for floating-point columns of the file and for columns of numbers alone,
        ``integer`` for integers with at most 20 different values, ``category`` for everything else.

        Raises:
            DataError: it holds nothing, or something else than its type in a row, or what could be two things.
        """
        if not self._present:
            raise DataError(f"column {self._name!r} is empty in every row: name it in data.ignore", key="data.ignore")
        found = self._declared or self._inferred()
        mistake = self._mistake(found)
        if mistake is not None:
            raise DataError(f"column {self._name!r}{mistake}", key=f"data.columns.{self._name}")
        return found

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

    def _mistake(self, found: ColumnType) -> str | None:
        """What keeps the column from being of that type."""
        met = self._met
        if found in ("number", "integer") and "other" in met:
            if self._declared:
                return f": {met['other']}, which is no {found}: {self._or_category('repair it')}"
            return (
                f" holds numbers in {self._numbers} of {self._present} rows, but {met['other']}: "
                f"{self._or_category('repair it')}"
            )
        if found == "number":
            return self._mistaken_number()
        if found == "category" and self._declared is None:
            return self._mistaken_category()
        return None

    def _mistaken_number(self) -> str | None:
        met = self._met
        if "infinite" in met:
            return f": {met['infinite']}, which is infinite or beyond float32's range: {self._or_category('repair it')}"
        if "commas" in met and "points" in met:
            return (
                f" has decimal commas and points: {met['commas']}, {met['points']}: "
                f"{self._or_category('write all of them in one way')}"
            )
        if "commas" in met and "decimals" not in met:
            return (
                f" has commas that could be decimal ones or divide thousands: {met['commas']}: "
                f"{self._or_category('write numbers with a decimal point')}"
            )
        different, told_apart = self._sample.told_apart()
        if 2 * told_apart <= different:
            return (
                f" has numbers so close to each other that float32, in which models compute, has {told_apart} for "
                f"{different} different ones: subtract a number near to all of them, such as the smallest, set "
                f"data.columns: {{{self._name}: category}}, or name it in data.ignore"
            )
        return None

    def _mistaken_category(self) -> str | None:
        if len(self._distinct) <= INTEGER_CATEGORIES:
            return None
        if self._like and self._numbers + self._like >= NEARLY_ALL * self._present:
            return (
                f" seems to be of numbers, but with decimal commas, marks between thousands, units, bounds or other "
                "signs: "
                f"{self._met['other']}: {self._or_category('write it as in 1234.5')}"
            )
        words = len(self._words) <= _FEW_WORDS and not any(map(str.isdigit, "".join(self._words)))
        if words and self._numbers >= _MOST * self._present:
            return (
                f" holds numbers in {self._numbers} of {self._present} rows, but {self._met['other']}: "
                f"{self._or_category('leave such cells empty if the number is missing')}"
            )
        return None

    def _or_category(self, advice: str) -> str:
        return f"{advice}, or set data.columns: {{{self._name}: category}}"


def check_points(profiles: Mapping[str, ColumnProfile], types: Mapping[str, ColumnType]) -> None:
    """Raises DataError: numbers of one column have decimal commas, and the points in another may divide thousands."""
    numeric = {name: profiles[name] for name, found in types.items() if found == "number"}
    commas = next(((name, cell) for name, each in numeric.items() if (cell := each.found("commas"))), None)
    for name, profile in numeric.items():
        if commas is not None and (cell := profile.found("grouped")):
            raise DataError(
                f"column {name!r} has points that could be decimal ones or divide thousands, for column {commas[0]!r} "
                f"has decimal commas: {cell}, {commas[1]}: write numbers without marks between thousands, or set "
                f"data.columns: {{{name}: category}}",
                key=f"data.columns.{name}",
            )


def missing_column(name: str, key: str, names: Collection[str], file: str) -> DataError:
    """The error for a column that the spec names and the file lacks."""
    near = get_close_matches(name, names, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(map(repr, list(names)[:30])) + (", ..." if len(names) > 30 else "")
    return DataError(
        f"{printable(file)} has no column {name!r} (data.{key}); {meant}It has {listed}", key=f"data.{key}"
    )
