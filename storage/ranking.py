"""The order of a study's trials: by its objectives, and first those that keep its constraints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """A trial as it is ranked.

    Attributes:
        id: what the caller knows it by.
        number: the trial's number.
        losses: the objectives, turned so that less is better.
        violation: how far it is beyond the constraints; 0 if it keeps them.
    """

    id: int
    number: int
    losses: tuple[float, ...]
    violation: float = 0.0

    @property
    def order(self) -> tuple[float, tuple[float, ...], int]:
        """By violation, then by the leading objective, then by the others, then by number."""
        return self.violation, self.losses, self.number


def losses(objectives: Sequence[Mapping[str, str]], values: Sequence[float]) -> tuple[float, ...]:
    """Values of ``{"metric", "direction"}`` each, turned so that less is better."""
    pairs = zip(objectives, values, strict=True)
    return tuple(-value if each["direction"] == "maximize" else value for each, value in pairs)


def front(standings: Iterable[Standing]) -> list[Standing]:
    """The Pareto front, the best by the leading objective first: trials that no other one is better than in every way.

    Trials that break a constraint are on it only where no trial keeps them all; then all are, the nearest to the
    bounds first.
    """
    ordered = sorted(standings, key=lambda each: each.order)
    if not ordered or ordered[0].violation > 0:
        return ordered
    found: list[Standing] = []
    for each in ordered:
        if each.violation > 0:
            break
        # What dominates a trial comes before it: looking back is enough.
        if not any(_dominates(better.losses, each.losses) for better in found):
            found.append(each)
    return found


def ranked(standings: Iterable[Standing]) -> list[Standing]:
    """Every trial: the front, then the others in ``Standing.order``."""
    every = sorted(standings, key=lambda each: each.order)
    best = front(every)
    ids = {each.id for each in best}
    return [*best, *(each for each in every if each.id not in ids)]


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first != second and all(one <= other for one, other in zip(first, second, strict=True))
