"""Which columns of a table say something, as the training split's statistics have it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from search_spaces.base import Input
from search_spaces.statistics import CategoryStatistics, NumberStatistics, Thresholds
from search_spaces.tables.config import Numbers

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers of which training has different ones, or has some missing.

    Attributes:
        name: the column's.
        missing: whether training has missing values.
        mean: finite.
        deviation: above 0 and finite; 0 where all values that are there are equal.
        quantiles: at 0, 1, ..., 100 percent, float32; empty where ``deviation`` is 0.
        thresholds: None where nobody looked for them.
    """

    name: str
    missing: bool
    mean: float
    deviation: float
    quantiles: tuple[float, ...]
    thresholds: Thresholds | None = None

    def edges(self, numbers: Numbers) -> list[float]:
        """At most ``bins + 1`` different numbers, ascending, from the smallest value to the largest."""
        values = self._of_distinct if numbers.edges == "distinct" else self.quantiles
        if numbers.edges == "trees" and self.thresholds is not None:
            inner = self.thresholds.telling[: numbers.bins - 1]
            return sorted({self.quantiles[0], *inner, self.quantiles[-1]})
        places = np.linspace(0, len(values) - 1, numbers.bins + 1).round().astype(int)
        return sorted({values[place] for place in places})

    @property
    def _of_distinct(self) -> tuple[float, ...]:
        if self.thresholds is None:
            return self.quantiles
        # Of many rows not all are looked at, and the smallest and the largest value may be among the others.
        return tuple(sorted({self.quantiles[0], *self.thresholds.distinct, self.quantiles[-1]}))


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories that tells training examples apart.

    Of a value that stands there once, nothing can be learned but that it is rare.

    Attributes:
        name: the column's.
        integers: whether they are integers rather than strings.
        missing: whether training has missing values.
        values: those that stand there more than once, the most frequent first; one that does not if there are none.
        rare: how many other values there are.
    """

    name: str
    integers: bool
    missing: bool
    values: tuple[str, ...] | tuple[int, ...]
    rare: int

    @property
    def distinct(self) -> int:
        return len(self.values) + self.rare


@dataclass(frozen=True)
class Table:
    """The columns that a model sees; the others are constant and are taken, but not looked at."""

    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]

    @property
    def columns(self) -> int:
        return len(self.numbers) + len(self.categories)

    def divided_by(self, thresholds: Mapping[str, Thresholds]) -> Table:
        """The table with what was found of where its columns can be divided."""
        numbers = tuple(replace(each, thresholds=thresholds.get(each.name)) for each in self.numbers)
        return replace(self, numbers=numbers)


def table_of(inputs: tuple[Input, ...]) -> Table:
    """The columns with something to say.

    Raises:
        ValueError: an input is no column of a table, or lacks statistics, or all columns are constant.
    """
    unfit = [each.name for each in inputs if not isinstance(each.statistics, NumberStatistics | CategoryStatistics)]
    if unfit:
        raise ValueError(
            "the structured space takes columns of numbers, integers and categories with statistics; "
            f"these columns do not fit: {', '.join(map(repr, unfit))}"
        )
    numbers = [_number(each.name, each.statistics) for each in inputs if isinstance(each.statistics, NumberStatistics)]
    categories = [
        _category(each, each.statistics) for each in inputs if isinstance(each.statistics, CategoryStatistics)
    ]
    table = Table(tuple(each for each in numbers if each), tuple(each for each in categories if each))
    if not table.numbers and not table.categories:
        raise ValueError("every column is constant in the training examples, so nothing can be learned from them")
    return table


def _number(name: str, statistics: NumberStatistics) -> NumberColumn | None:
    quantiles = tuple(float(value) for value in _as_float32(statistics.quantiles))
    varies = bool(quantiles) and quantiles[0] < quantiles[-1]
    # A column that is missing everywhere is as constant as one that never is.
    missing = statistics.missing > 0 and statistics.distinct > 0
    if not varies:
        return NumberColumn(name, missing, 0.0, 0.0, ()) if missing else None
    mean, deviation = statistics.mean, math.sqrt(max(statistics.variance, 0.0))
    if not (abs(mean) < _LARGEST and 0 < deviation < _LARGEST):
        # Infinite values, or such that their squares are: the quantiles still tell where most of them are.
        mean = quantiles[len(quantiles) // 2]
        deviation = _spread(quantiles)
    return NumberColumn(name, missing, mean, deviation, quantiles)


def _as_float32(values: tuple[float, ...]) -> np.ndarray:
    return np.clip(np.asarray(values, dtype=np.float64), -_LARGEST, _LARGEST).astype(np.float32)


def _spread(quantiles: tuple[float, ...]) -> float:
    """Half of what two thirds of the values cover; where that is nothing, half of what all of them do."""
    last = len(quantiles) - 1
    middle = (quantiles[round(0.84 * last)] - quantiles[round(0.16 * last)]) / 2
    return middle if middle > 0 else quantiles[-1] / 2 - quantiles[0] / 2


def _category(column: Input, statistics: CategoryStatistics) -> CategoryColumn | None:
    frequent = sum(count > 1 for count in statistics.counts)
    rare = len(statistics.values) - frequent
    if not statistics.values or frequent + (rare > 0) + (statistics.missing > 0) < 2:
        return None
    kept = max(frequent, 1)
    return CategoryColumn(
        name=column.name,
        integers=column.kind == "integer",
        missing=statistics.missing > 0,
        values=statistics.values[:kept],
        rare=len(statistics.values) - kept,
    )
