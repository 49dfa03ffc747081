"""Statistics of columns that pass by in pieces, in memory that does not grow with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.text_scripts import ScriptsMet, words_of

# Quantiles of more values are those of an evenly spaced part of them.
_SAMPLED = 200_000
_DISTINCT = 1000
# Of more categories, rare ones are dropped while counting.
COUNTED = 50_000
_PERCENT = np.linspace(0, 1, 101)

Floats = npt.NDArray[np.float64]


class _Sample:
    """Every 1st, 2nd, 4th ... value, so that at most ``_SAMPLED`` are kept."""

    def __init__(self) -> None:
        self._pieces: list[Floats] = []
        self._kept = self._seen = 0
        self._step = 1

    def add(self, values: Floats) -> None:
        chosen = values[-self._seen % self._step :: self._step]
        self._seen += len(values)
        self._pieces.append(chosen)
        self._kept += len(chosen)
        while self._kept > _SAMPLED:
            halved = np.concatenate(self._pieces)[::2]
            self._pieces, self._kept, self._step = [halved], len(halved), 2 * self._step

    def quantiles(self) -> Floats:
        """At 0, 1, ..., 100 percent; zeros if there was no value."""
        values = np.concatenate(self._pieces) if self._kept else np.zeros(1)
        return np.quantile(values, _PERCENT)


class Moments:
    """Mean and variance of each number of an example."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self._count = 0
        self._mean = np.zeros(shape)
        self._squares = np.zeros(shape)

    def add(self, values: Floats) -> None:
        """Adds examples, (m, *shape)."""
        if not len(values):
            return
        mean = values.mean(axis=0)
        total = self._count + len(values)
        step = mean - self._mean
        self._squares += ((values - mean) ** 2).sum(axis=0) + step**2 * (self._count * len(values) / total)
        self._mean = self._mean + step * (len(values) / total)
        self._count = total

    @property
    def mean(self) -> Floats:
        return np.asarray(self._mean)

    @property
    def variance(self) -> Floats:
        return np.asarray(self._squares / max(self._count, 1))


class TargetMoments(Moments):
    """Of a regression's target, as ``search_spaces.statistics.TargetStatistics``."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__(shape)
        self._cubes = np.zeros(shape)
        self._least = np.full(shape, np.inf)

    def add(self, values: Floats) -> None:
        if not len(values):
            return
        self._least = np.minimum(self._least, values.min(axis=0))
        others = Moments(self._mean.shape)
        others.add(values)
        cubes = ((values - others.mean) ** 3).sum(axis=0)
        # As Chan and others join moments of two parts (Updating Formulae, 1979), carried on to the third.
        step, total = others._mean - self._mean, self._count + others._count
        self._cubes = (
            self._cubes
            + cubes
            + step**3 * self._count * others._count * (self._count - others._count) / total**2
            + 3 * step * (self._count * others._squares - others._count * self._squares) / total
        )
        super().add(values)

    def stored(self) -> dict[str, Any]:
        deviation = np.sqrt(self.variance)
        cubes = self._cubes / max(self._count, 1)
        skewness = np.divide(cubes, deviation**3, out=np.zeros_like(cubes), where=deviation > 0)
        found = {"mean": self.mean, "variance": self.variance, "least": self._least, "skewness": skewness}
        return {name: np.nan_to_num(values).reshape(-1).tolist() for name, values in found.items()}


class NumberSummary:
    """Of a column of numbers, as ``search_spaces.statistics.NumberStatistics``."""

    def __init__(self) -> None:
        self._missing = 0
        self._moments = Moments()
        self._sample = _Sample()
        self._distinct: set[float] = set()
        self._least, self._greatest = np.inf, -np.inf

    def add(self, values: Floats) -> None:
        """Adds numbers, shape (m,), NaN for missing ones."""
        there = values[~np.isnan(values)].astype(np.float64, copy=False)
        self._missing += len(values) - len(there)
        if not len(there):
            return
        self._moments.add(there)
        self._sample.add(there)
        self._least, self._greatest = min(self._least, there.min()), max(self._greatest, there.max())
        if len(self._distinct) < _DISTINCT:
            self._distinct.update(np.unique(there).tolist())

    def stored(self) -> dict[str, Any]:
        quantiles = self._sample.quantiles()
        if self._least <= self._greatest:
            quantiles[0], quantiles[-1] = self._least, self._greatest
        return {
            "missing": self._missing,
            "distinct": min(len(self._distinct), _DISTINCT),
            "mean": float(self._moments.mean),
            "variance": float(self._moments.variance),
            "quantiles": quantiles.tolist(),
        }


class CategorySummary:
    """Of a column of categories, as ``search_spaces.statistics.CategoryStatistics``.

    Of more than ``COUNTED`` different ones, the rarest are forgotten while counting.
    """

    def __init__(self, missing: str | int) -> None:
        self._missing_value = missing
        self._counts: Counter[Any] = Counter()

    def add(self, values: Sequence[Any], counts: Sequence[int]) -> None:
        """Adds different values and how often each stands there."""
        for value, count in zip(values, counts, strict=True):
            self._counts[value] += count
        if len(self._counts) > 2 * COUNTED:
            missing = self._counts[self._missing_value]
            self._counts = Counter(dict(self._counts.most_common(COUNTED)))
            self._counts[self._missing_value] = missing

    def stored(self) -> dict[str, Any]:
        counts: Mapping[Any, int] = {k: n for k, n in self._counts.items() if k != self._missing_value and n}
        ordered = sorted(counts, key=lambda value: (-counts[value], value))[:COUNTED]
        return {
            "missing": self._counts[self._missing_value],
            "values": ordered,
            "counts": [counts[value] for value in ordered],
        }


class TextSummary:
    """Of a column of texts, as ``search_spaces.statistics.TextStatistics``."""

    def __init__(self) -> None:
        self._words, self._characters = _Sample(), _Sample()
        self._scripts = ScriptsMet()

    def add(self, texts: Iterable[str]) -> None:
        texts = list(texts)
        self._scripts.add(texts)
        lengths = np.array([(len(words_of(text)), len(text)) for text in texts], dtype=np.float64).reshape(-1, 2)
        self._words.add(lengths[:, 0])
        self._characters.add(lengths[:, 1])

    def stored(self) -> dict[str, Any]:
        return {
            "words": self._words.quantiles().round().astype(int).tolist(),
            "characters": self._characters.quantiles().round().astype(int).tolist(),
            "rules": self._scripts.rules,
        }
