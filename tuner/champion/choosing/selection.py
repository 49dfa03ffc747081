"""Which of the kept models are averaged: ensemble selection by what each gives for the validation split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# One array for each leaf of what a model gives, (examples, ...).
Leaves = Sequence[npt.NDArray[Any]]

# The selection begins with a third of the models, so many at most: by itself it picks what happens to fit the
# validation split.
_SORTED_START = 5
# Models are added up to so many times, and so many different ones are in an average at most.
_ADDITIONS = 16
MOST_MEMBERS = 8


def select(
    outputs: Sequence[Leaves], sizes: Sequence[int], room: int, worth: Callable[[Leaves], float]
) -> Counter[int] | None:
    """How often each model, by its place, is in the best average; None where no average beats the first model.

    Models are added one by one, with replacement, the one first with which the average does best; of the averages on
    the way the best one is taken. The best ones are added at once (Caruana, Niculescu-Mizil, Crew and Ksikes, Ensemble
    selection from libraries of models, ICML 2004, sections 2.1 and 2.2).
    ``docs/decisions/0012-averages-by-default.md`` has what each of these was worth.

    Args:
        outputs: what each model gives for the validation split, the best first, as it is averaged.
        sizes: of the models, in bytes.
        room: the sum of the members' sizes is no more than this.
        worth: of what an average gives; more is better.
    """
    if not outputs or sizes[0] > room:
        return None
    places: list[int] = []
    start = max(1, min(_SORTED_START, len(outputs) // 3))
    for place in range(len(outputs)):
        if len(places) < start and _fits({*places, place}, sizes, room):
            places.append(place)
    total = [np.sum([outputs[place][leaf] for place in places], axis=0) for leaf in range(len(outputs[0]))]
    best = worth([each / len(places) for each in total]), list(places)
    while len(places) < _ADDITIONS:
        options = [place for place in range(len(outputs)) if _fits({*places, place}, sizes, room)]
        found = {place: worth(_with(total, outputs[place], len(places) + 1)) for place in options}
        # Of equal ones the better model.
        chosen = max(options, key=lambda place: (found[place], -place))
        places.append(chosen)
        total = [whole + each for whole, each in zip(total, outputs[chosen], strict=True)]
        if found[chosen] > best[0]:
            best = found[chosen], list(places)
    counts = Counter(best[1])
    return counts if len(counts) > 1 and best[0] > worth(outputs[0]) else None


def _with(total: Leaves, outputs: Leaves, count: int) -> Leaves:
    return [(whole + each) / count for whole, each in zip(total, outputs, strict=True)]


def _fits(members: set[int], sizes: Sequence[int], room: int) -> bool:
    return len(members) <= MOST_MEMBERS and sum(sizes[place] for place in members) <= room
