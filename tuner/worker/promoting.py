"""Which trials of a study are paused at a rung of epochs."""

from __future__ import annotations

import math

from optuna.pruners import BasePruner

from storage.promotion.rows import arrive
from storage.ranking import losses
from tuner.spec.objective import MEASURES, PARAMETERS
from tuner.study.open_study import OpenStudy
from tuner.trial.messages import EpochDone
from tuner.worker.running import RunningTrial
from tuner.worker.search.rungs import Promote


class Promotion:
    """Says of the trials of one study which are paused at a rung.

    Attributes:
        rule: None for a study that pauses no trial.
    """

    def __init__(self, study: OpenStudy, pruner: BasePruner) -> None:
        self._study = study
        self._kind = study.record.space.get("kind")
        self.rule = pruner.rule if isinstance(pruner, Promote) and pruner.rule.rungs else None

    def pauses(self, running: RunningTrial, done: EpochDone) -> bool:
        """Whether the trial is paused after this epoch, which its database has.

        Raises:
            LeaseLost: another worker has the trial.
        """
        # An answer that came too late is given again after the next epoch.
        if self.rule is None or running.is_pausing:
            return running.is_pausing
        # The first execution stands for the trial.
        if done.execution == 0 and done.epoch in self.rule.rungs and done.value is not None:
            kind = None if self._kind is None else running.live.frozen().params.get(self._kind)
            running.is_pausing = not arrive(
                self._study.database,
                running.lease,
                self.rule,
                done.epoch,
                None if kind is None else str(kind),
                self._losses(running, done),
            )
        return running.is_pausing

    def _losses(self, running: RunningTrial, done: EpochDone) -> tuple[float, ...]:
        """Of the objectives that are known before the end of training."""
        spec, known = self._study.spec, done.metrics
        if running.parameters is not None:
            known = known | {PARAMETERS: float(running.parameters)}
        others = [each for each in spec.objectives[1:] if each.metric == PARAMETERS or each.metric not in MEASURES]
        objectives = [{"metric": each.metric, "direction": each.direction} for each in (spec.objective, *others)]
        values = [done.value, *(known.get(each.metric, math.nan) for each in others)]
        return tuple(math.inf if math.isnan(each) else each for each in losses(objectives, values))  # type: ignore[arg-type]
