"""The order of trials at a rung: by one objective, or by non-dominated rank where there are several."""

from __future__ import annotations

import math
from collections.abc import Sequence

Losses = tuple[float, ...]


def order(losses: Sequence[Losses]) -> list[int]:
    """Places in ``losses``, the best first; of equal ones the first one.

    With several objectives the fronts of non-dominated ones follow each other, and within a front those come first
    that have the most room around them (Deb et al., NSGA-II, IEEE Transactions on Evolutionary Computation 6(2),
    2002). MO-ASHA (Schmucker et al., arXiv 2106.12639) orders a rung so.

    Args:
        losses: of each trial, one number for each objective; less is better.
    """
    places = range(len(losses))
    if not losses or len(losses[0]) == 1:
        return sorted(places, key=lambda place: (losses[place], place))
    ordered: list[int] = []
    left = list(places)
    while left:
        front = [one for one in left if not any(dominates(losses[other], losses[one]) for other in left)]
        room = dict(zip(front, _room([losses[place] for place in front]), strict=True))
        ordered += sorted(front, key=lambda place: (-room[place], place))
        left = [place for place in left if place not in room]
    return ordered


def dominates(first: Losses, second: Losses) -> bool:
    return first != second and all(one <= other for one, other in zip(first, second, strict=True))


def _room(front: Sequence[Losses]) -> list[float]:
    """The crowding distance of each: infinite at the ends of an objective."""
    room = [0.0] * len(front)
    for objective in range(len(front[0])):
        along = sorted(range(len(front)), key=lambda place: front[place][objective])
        low, high = front[along[0]][objective], front[along[-1]][objective]
        room[along[0]] = room[along[-1]] = math.inf
        if high <= low or math.isinf(high - low):
            continue
        for before, place, after in zip(along, along[1:], along[2:], strict=False):
            room[place] += (front[after][objective] - front[before][objective]) / (high - low)
    return room
