"""How columns of numbers become features, by what is known of the training split."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers, ops

from search_spaces.tables.columns import NumberColumn
from search_spaces.tables.config import Numbers

# Where what was an outlier in training, or is one now, is cut off, in standard deviations.
_FARTHEST = 10.0
# What a robustly scaled number comes near to and never reaches.
_SMOOTH_LIMIT = 3.0
# Its square is well within float32.
_FARTHEST_ROBUST = 1e9
# Of a quantile transform; training's quantiles are known at every percent.
_STEPS = 50
# As narrow as an interval between two equal quantiles is taken to be.
_NARROW = 1e-36
# Inside this range of standard deviations, their squares are well within float32.
_PLAIN_UNITS = (1e-4, 1e6)


def encoded(x: Any, columns: Sequence[NumberColumn], numbers: Numbers) -> Any:
    """Features of numbers, float32 (batch, columns) to (batch, n): 0 where a number is missing.

    That is the mean or the median, or no interval at all.
    """
    return ops.nan_to_num(_ENCODERS[numbers.encoding](x, columns, numbers), nan=0.0)


def _normalized(x: Any, columns: Sequence[NumberColumn]) -> Any:
    """Mean 0 and variance 1, whatever the columns' units: squares of 1e-30 or 1e30 are no float32."""
    units = [_unit(each.deviation) for each in columns]
    if any(unit != 1 for unit in units):
        x = layers.Rescaling([1 / unit for unit in units], dtype="float32")(x)
    means = [each.mean / unit for each, unit in zip(columns, units, strict=True)]
    variances = [(each.deviation / unit) ** 2 for each, unit in zip(columns, units, strict=True)]
    return layers.Normalization(mean=means, variance=variances, dtype="float32")(x)


def _unit(deviation: float) -> float:
    """1, or a power of two, by which numbers are divided without rounding."""
    low, high = _PLAIN_UNITS
    return 1.0 if low <= deviation <= high else 2.0 ** min(max(math.frexp(deviation)[1], -120), 120)


def _standard(x: Any, columns: Sequence[NumberColumn], numbers: Numbers) -> Any:
    return ops.clip(_normalized(x, columns), -_FARTHEST, _FARTHEST)


def _log(x: Any, columns: Sequence[NumberColumn], numbers: Numbers) -> Any:
    x = _normalized(x, columns)
    return ops.clip(ops.multiply(ops.sign(x), ops.log1p(ops.abs(x))), -_FARTHEST, _FARTHEST)


def _quantile(x: Any, columns: Sequence[NumberColumn], numbers: Numbers) -> Any:
    """Uniform with mean 0 and variance 1: the training values below, between two quantiles by their distance."""
    edges = np.array([_places(each.quantiles, _STEPS) for each in columns], dtype="float32")
    filled = _filled(ops.expand_dims(x, -1), edges[:, :-1], edges[:, 1:])
    return ops.multiply(ops.subtract(ops.mean(filled, axis=-1), 0.5), math.sqrt(12))


def _places(quantiles: Sequence[float], steps: int) -> list[float]:
    return [quantiles[round(place)] for place in np.linspace(0, len(quantiles) - 1, steps + 1)]


def _robust(x: Any, columns: Sequence[NumberColumn], numbers: Numbers) -> Any:
    """Median 0 and half of the values within a range of 1; those far away are drawn in smoothly.

    References:
        Holzmueller et al., Better by Default, arXiv 2407.04491, section 3 and appendix A.
    """
    medians = np.array([each.quantiles[50] for each in columns], dtype="float32")
    scales = np.array([max(_half_range(each.quantiles), _NARROW) for each in columns], dtype="float32")
    x = ops.clip(ops.divide(ops.subtract(x, medians), scales), -_FARTHEST_ROBUST, _FARTHEST_ROBUST)
    return ops.divide(x, ops.sqrt(ops.add(1.0, ops.square(ops.divide(x, _SMOOTH_LIMIT)))))


def _half_range(quantiles: Sequence[float]) -> float:
    """What the middle half of the values covers; where that is nothing, half of what all of them do."""
    middle = quantiles[75] - quantiles[25]
    return middle if middle > 0 else quantiles[-1] / 2 - quantiles[0] / 2


def _piecewise(x: Any, columns: Sequence[NumberColumn], numbers: Numbers) -> Any:
    edges = [each.edges(numbers) for each in columns]
    of_column = np.repeat(np.arange(len(columns)), [len(each) - 1 for each in edges]).astype("int32")
    lows = np.array([low for each in edges for low in each[:-1]], dtype="float32")
    highs = np.array([high for each in edges for high in each[1:]], dtype="float32")
    return _filled(ops.take(x, of_column, axis=1), lows, highs)


def _filled(x: Any, lows: np.ndarray, highs: np.ndarray) -> Any:
    """How far ``x`` is from ``lows`` to ``highs``: 0 below, 1 above."""
    widths = np.maximum(highs / 2 - lows / 2, _NARROW / 2).astype("float32")
    # Halves, since the whole width may be more than float32 holds.
    halves = ops.subtract(ops.multiply(x, 0.5), lows / 2)
    return ops.clip(ops.divide(halves, widths), 0.0, 1.0)


_ENCODERS: dict[str, Callable[[Any, Sequence[NumberColumn], Numbers], Any]] = {
    "standard": _standard,
    "log": _log,
    "quantile": _quantile,
    "robust": _robust,
    # The network makes waves of them.
    "periodic": _robust,
    "piecewise": _piecewise,
}
