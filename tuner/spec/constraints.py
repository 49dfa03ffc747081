"""Bounds that a trial must keep to be a champion, as a spec writes them: ``parameters: "<= 1e6"``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COMPARISON = re.compile(r"(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
# Optuna takes 0 as satisfied: a strict bound that is met exactly is violated by this.
_LEAST_VIOLATION = 1e-12
# What is not a number violates by this: finite, so that samplers can add it up and databases can hold it.
_LARGEST_VIOLATION = 1e30


@dataclass(frozen=True)
class Constraint:
    """``name operator bound``, for example ``parameters <= 1e6``."""

    name: str
    operator: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name} {self.comparison}"

    @property
    def comparison(self) -> str:
        return f"{self.operator} {_number(self.bound)}"

    def violation(self, value: float) -> float:
        """How far ``value`` is beyond the bound, in shares of the bound; 0 or less is satisfied.

        Shares make constraints comparable, because samplers add violations up. A bound of 0 is measured as it is.
        """
        if math.isnan(value):
            return _LARGEST_VIOLATION
        beyond = value - self.bound if self.operator in ("<=", "<") else self.bound - value
        amount = beyond / abs(self.bound) if self.bound else beyond
        if self.operator in ("<", ">") and beyond == 0:
            return _LEAST_VIOLATION
        return max(-_LARGEST_VIOLATION, min(amount, _LARGEST_VIOLATION))


def parse_comparison(text: Any) -> tuple[str, float]:
    """Operator and bound of ``<= 1e6``.

    Raises:
        ValueError: it is not a comparison with a number.
    """
    match = COMPARISON.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not math.isfinite(float(match[2])):
        raise ValueError('write <=, <, >= or > and then a number, in quotes: "<= 1e6"')
    return match[1], float(match[2])


def normal_comparison(text: Any) -> str:
    """The one way to write a comparison, so that specs can be compared. Raises ValueError as ``parse_comparison``."""
    return Constraint("", *parse_comparison(text)).comparison


def violations(constraints: Sequence[Constraint], values: Mapping[str, float]) -> dict[str, float]:
    """``Constraint.violation`` of every constraint whose value is known, by name."""
    return {each.name: each.violation(values[each.name]) for each in constraints if each.name in values}


def total_violation(amounts: Mapping[str, float]) -> float:
    """What is violated, added up; 0 if nothing is."""
    return sum(amount for amount in amounts.values() if amount > 0)


def broken(constraints: Sequence[Constraint], values: Mapping[str, float]) -> list[str]:
    """The violated constraints in words: ``parameters is 1200000, must be <= 1000000``."""
    return [
        f"{each.name} is {_number(values[each.name])} but must be {each.comparison}"
        for each in constraints
        if each.name in values and each.violation(values[each.name]) > 0
    ]


def _number(value: float) -> str:
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12g}"
