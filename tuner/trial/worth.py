"""What a trial is worth: the value of its best epoch, as far as luck can be told from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tuner.spec.objective import Objective


@dataclass(frozen=True)
class BestEpoch:
    """The epoch that an execution is judged by.

    Attributes:
        number: from 1, within the epochs that were given.
        value: the objective's mean over this epoch and a neighbour; of an only epoch its own value.
    """

    number: int
    value: float


def best_epoch(objective: Objective, epochs: Sequence[Mapping[str, float]]) -> BestEpoch | None:
    """The best of an execution's epochs; None where none has logged the objective.

    The best of many noisy values is too good, since it was chosen for its noise too (Smith and Winkler, The Optimizer's
    Curse, Management Science 52(3), 2006). Therefore pairs of successive epochs are compared, by the mean of both. The
    later epoch of the best pair is the best one; of the first pair it is the better one, or a model that learns all it
    can in one epoch would be judged by its second. ``docs/decisions/0013-honest-values.md`` has what this and other
    ways of smoothing were worth.

    Args:
        epochs: what each logged. Values of the objective are finite.
    """
    known = [(number, each[objective.metric]) for number, each in enumerate(epochs, 1) if objective.metric in each]
    if not known:
        return None
    best = BestEpoch(*known[0])
    for place, (before, now) in enumerate(pairwise(known)):
        mean = (before[1] + now[1]) / 2
        if place == 0:
            best = BestEpoch(now[0] if objective.better(now[1], than=before[1]) else before[0], mean)
        elif objective.better(mean, than=best.value):
            best = BestEpoch(now[0], mean)
    return best
