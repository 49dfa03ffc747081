"""Numbers at even distances, with floats as people write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

# Relative to a step: how far a number may be from a multiple by rounding alone.
ROUNDING = 1e-8


def last_step(low: float, high: float, step: float) -> float:
    """The greatest of ``low``, ``low + step`` ... that is not above ``high``."""
    if isinstance(low, int):
        return low + (high - low) // step * step
    return _decimal_steps(low, step, _count(low, high, step))[-1]


def even_steps(low: float, high: float, step: float) -> list[float]:
    """``low``, ``low + step`` ... up to ``high``: 0.3 rather than 0.30000000000000004."""
    return _decimal_steps(low, step, _count(low, high, step))


def _count(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step + ROUNDING) + 1


def _decimal_steps(low: float, step: float, count: int) -> list[float]:
    first, distance = Decimal(str(low)), Decimal(str(step))
    return [type(low)(first + index * distance) for index in range(count)]


def exactly_even(values: Sequence[float], step: float) -> bool:
    """Whether every sampler's arithmetic gives back these very values.

    Programs compare choices by equality, so floats that are a rounding apart will not do.
    """
    binary = [values[0] + index * step for index in range(len(values))]
    # Optuna cuts off the last value where the step does not divide the range in decimals: 0.01 and 0.1.
    divides = Decimal(str(values[0])) + (len(values) - 1) * Decimal(str(step)) == Decimal(str(values[-1]))
    return divides and list(values) == binary == _decimal_steps(values[0], step, len(values))
