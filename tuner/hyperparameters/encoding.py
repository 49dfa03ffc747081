"""How a hyperparameter is put to Optuna's samplers.

Most are asked for as they are. Where Optuna has no distribution for what KerasTuner means, the
sampler is asked for a parameter of its own, ``name@rank`` or ``name@mirror``, and the value that
follows from it is recorded under the real name with a single-valued distribution, which samplers
skip: they see an order, people see what the model saw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tuner.hyperparameters.declared import Declared
from tuner.hyperparameters.steps import ROUNDING, exactly_even, last_step


class Encoding(Protocol):
    """Values of the model on one side, values of the sampler on the other."""

    @property
    def suffix(self) -> str:
        """What follows the name of the parameter that the sampler sees."""

    @property
    def distribution(self) -> BaseDistribution: ...

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""

    def coerce(self, value: Any) -> Any:
        """The value in its own type. Raises ValueError if it is not allowed."""

    def nearest(self, value: Any) -> Any:
        """The allowed value nearest to one that may not be."""

    def encode(self, value: Any) -> Any: ...

    def decode(self, code: Any) -> Any: ...


@dataclass(frozen=True)
class Category:
    """One of several values without an order."""

    values: tuple[Any, ...]
    suffix: str = ""

    @property
    def distribution(self) -> CategoricalDistribution:
        return CategoricalDistribution(self.values)

    @property
    def allowed(self) -> str:
        return f"one of {', '.join(repr(value) for value in self.values)}"

    def coerce(self, value: Any) -> Any:
        if value not in self.values:
            raise ValueError(self.allowed)
        return self.values[self.values.index(value)]

    def nearest(self, value: Any) -> Any:
        return self.coerce(value)

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, code: Any) -> Any:
        return code


@dataclass(frozen=True)
class Range:
    """A number that Optuna samples as it is."""

    distribution: IntDistribution | FloatDistribution
    suffix: str = ""

    @property
    def allowed(self) -> str:
        bounds = f"from {self.distribution.low} to {self.distribution.high}"
        return bounds if self._free else f"{bounds} in steps of {self.distribution.step}"

    @property
    def _integer(self) -> bool:
        return isinstance(self.distribution, IntDistribution)

    @property
    def _free(self) -> bool:
        return self.distribution.step is None or (self._integer and self.distribution.step == 1)

    def coerce(self, value: Any) -> Any:
        number = _number(value, self._integer, self.allowed)
        low, high, step = self.distribution.low, self.distribution.high, self.distribution.step
        offset = 0.0 if step is None else (number - low) / step
        if not low <= number <= high or abs(offset - round(offset)) > ROUNDING:
            raise ValueError(self.allowed)
        return number

    def nearest(self, value: Any) -> Any:
        low, high, step = self.distribution.low, self.distribution.high, self.distribution.step
        inside = min(max(value, low), high)
        if step is not None:
            inside = min(low + round((inside - low) / step) * step, high)
        return int(inside) if self._integer else float(inside)

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, code: Any) -> Any:
        return code


@dataclass(frozen=True)
class Rank:
    """One of several unevenly spaced numbers, sampled by its place among them."""

    values: tuple[float, ...]
    suffix: str = "@rank"

    @property
    def distribution(self) -> IntDistribution:
        return IntDistribution(0, len(self.values) - 1)

    @property
    def allowed(self) -> str:
        return f"one of {', '.join(str(value) for value in self.values)}"

    def coerce(self, value: Any) -> Any:
        number = _number(value, isinstance(self.values[0], int), self.allowed)
        nearest = self.nearest(number)
        # A list that multiplies by a step holds 0.010000000000000002 where people write 0.01.
        if not math.isclose(nearest, number, rel_tol=ROUNDING, abs_tol=0):
            raise ValueError(self.allowed)
        return nearest

    def nearest(self, value: Any) -> Any:
        return min(self.values, key=lambda each: abs(each - value))

    def encode(self, value: Any) -> Any:
        return self.values.index(value)

    def decode(self, code: Any) -> Any:
        return self.values[code]


@dataclass(frozen=True)
class Mirror:
    """KerasTuner's ``reverse_log``: ``low + high - value`` is log-uniform.

    The formula is that of keras_tuner's ``hp_types/numerical.py``.
    """

    low: float
    high: float
    suffix: str = "@mirror"

    @property
    def _integer(self) -> bool:
        return isinstance(self.low, int)

    @property
    def distribution(self) -> IntDistribution | FloatDistribution:
        return _distribution(self.low, self.high, log=True)

    @property
    def allowed(self) -> str:
        return f"from {self.low} to {self.high}"

    def coerce(self, value: Any) -> Any:
        number = _number(value, self._integer, self.allowed)
        if not self.low <= number <= self.high:
            raise ValueError(self.allowed)
        return number

    def nearest(self, value: Any) -> Any:
        inside = min(max(value, self.low), self.high)
        return round(inside) if self._integer else float(inside)

    def encode(self, value: Any) -> Any:
        return min(max(self.low + self.high - value, self.low), self.high)

    def decode(self, code: Any) -> Any:
        return self.encode(code)


def encoding_of(declared: Declared) -> Encoding:
    """How ``declared``, which is not fixed, is put to the samplers."""
    if declared.kind == "boolean" or (declared.kind == "choice" and not declared.ordered):
        return Category(declared.values)
    if declared.values:
        return _ordered(sorted(set(declared.values)))
    low, high = declared.bounds
    if declared.sampling == "reverse_log":
        return Mirror(low, high)
    if declared.sampling == "log" or declared.step is None:
        return Range(_distribution(low, high, log=declared.sampling == "log"))
    return Range(_distribution(low, last_step(low, high, declared.step), step=declared.step))


def single(value: float) -> IntDistribution | FloatDistribution:
    """The distribution that holds this value alone."""
    # The brute-force sampler refuses floats without a step, of one value too.
    return _distribution(value, value, step=1)


def _distribution(
    low: float, high: float, *, log: bool = False, step: float | None = None
) -> IntDistribution | FloatDistribution:
    if isinstance(low, int):
        return IntDistribution(low, int(high), log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=step)


def _ordered(values: Sequence[float]) -> Encoding:
    if len(values) == 1:
        return Range(single(values[0]))
    step = values[1] - values[0]
    if not exactly_even(values, step):
        return Rank(tuple(values))
    return Range(_distribution(values[0], values[-1], step=step))


def _number(value: Any, integer: bool, allowed: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(allowed)
    if integer and value != int(value):
        raise ValueError(allowed)
    return int(value) if integer else float(value)
