"""The pruner ``promote`` of a spec: halving that pauses trials at rungs of epochs."""

from __future__ import annotations

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from storage.promotion.rule import RungRule


class Promote(BasePruner):
    """What a spec says of pausing. It ends no trial itself: whether one goes on depends on more than Optuna knows.

    Args:
        epochs: of a trial that comes to its end.
        min_resource: epochs until the lowest rung.
        reduction_factor: one of so many trials goes on at a rung, and the next rung is so many times as high.
        pasha: no trial passes the highest rung while its ranking agrees with that of the rung below.
        most_paused: so many trials stay paused, with a checkpoint each; the worst are ended.

    Raises:
        ValueError: an option is too small.
    """

    def __init__(
        self, epochs: int, min_resource: int, reduction_factor: int, pasha: bool = False, most_paused: int = 50
    ) -> None:
        least = {"min_resource": (min_resource, 1), "reduction_factor": (reduction_factor, 2)}
        for name, (value, smallest) in {**least, "most_paused": (most_paused, 1)}.items():
            if value < smallest:
                raise ValueError(f"{name} must be at least {smallest}, not {value}")
        rungs = []
        rung = min_resource
        while rung < epochs:
            rungs.append(rung)
            rung *= reduction_factor
        self.rule = RungRule(tuple(rungs), reduction_factor, pasha, most_paused)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        return False
