"""Which of many tried configurations to begin a search with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from champions_sets import Measure
from champions_trial import Trained


@dataclass(frozen=True)
class Tried:
    """A configuration, by its place among all, on a data set."""

    data: str
    measure: Measure
    configuration: int
    trained: Trained


def chosen(tried: Sequence[Tried], many: int) -> list[int]:
    """The configurations that together lose least, chosen one after the other, then ordered by their cost.

    A configuration's loss on a set is its distance in test score from the best one there, in units of the distance
    from the best to the median one. A portfolio's loss is that of its best member by validation, which is what a
    search sees. The cheapest of those that lose least alone comes first.

    References:
        The greedy choice is that of Feurer et al., Auto-sklearn 2.0, arXiv 2007.04074, section 3.1.
    """
    losses = _losses(tried)
    everything = sorted({each.configuration for each in tried})
    taken: list[int] = []
    while len(taken) < min(many, len(everything)):
        left = [each for each in everything if each not in taken]
        taken.append(min(left, key=lambda each: fmean(_loss(losses[data], [*taken, each]) for data in losses)))
    cost = {place: fmean(each.trained.seconds for each in tried if each.configuration == place) for place in taken}
    return sorted(taken, key=lambda place: cost[place])


def _loss(of_set: dict[int, tuple[float, float]], members: Sequence[int]) -> float:
    there = [of_set[each] for each in members if each in of_set]
    return max(there)[1] if there else 2.0


def _losses(tried: Sequence[Tried]) -> dict[str, dict[int, tuple[float, float]]]:
    """By set and configuration: validation, the higher the better, and the loss; means over seeds."""
    by_set: dict[str, dict[int, list[Tried]]] = defaultdict(lambda: defaultdict(list))
    for each in tried:
        by_set[each.data][each.configuration].append(each)
    found = {}
    for data, places in by_set.items():
        sign = -1 if next(iter(places.values()))[0].measure == "rmse" else 1
        tests = {place: sign * fmean(each.trained.test.value for each in runs) for place, runs in places.items()}
        seen = {place: sign * fmean(each.trained.validation for each in runs) for place, runs in places.items()}
        best = max(tests.values())
        unit = max(best - median(tests.values()), 1e-12)
        found[data] = {place: (seen[place], min((best - tests[place]) / unit, 2.0)) for place in tests}
    return found
