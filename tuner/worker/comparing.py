"""Trials as a sampler sees them: what a pruned trial is worth is what it would have come to.

Optuna's samplers put every completed trial above every pruned one, or see the completed ones alone. So a trial that
nothing could prune, since it was the first, would teach more than one that was better in every epoch and ended later.
Here trials are compared at the epochs that they share, as BOHB (Falkner et al., arXiv 1807.01774) and Hyper-Tune (Li et
al., arXiv 2201.06834) do. Where few trials have reached an epoch, the earlier ones guide: a pruned trial goes on in
thought, and gains in each epoch what the trials that reached it have gained there, at the median.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from statistics import median

from optuna import Study
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.worker.seen_study import seen_as
from tuner.worker.wrapped_sampler import WrappedSampler

Curve = tuple[float, ...]


class Comparison:
    """What the trials of one study are worth beside each other. It remembers what finished trials have reached."""

    def __init__(self) -> None:
        self._curves: dict[int, Curve] = {}
        self._gains: list[list[float]] = []
        self._known = 0
        self._typical: list[float] = []

    def of(self, trials: Sequence[FrozenTrial], maximize: bool) -> list[FrozenTrial]:
        """The trials, with each one that the pruner ended as a completed one of the value that it would have come to.

        Args:
            trials: of one study, some of which may have been given before.
        """
        for each in trials:
            if each.number not in self._curves and each.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self._learn(each, maximize)
        if self._known != len(self._curves):
            self._known, self._typical = len(self._curves), [median(gains) for gains in self._gains]
        return [self._worth(each) if each.state is TrialState.PRUNED else each for each in trials]

    def _learn(self, trial: FrozenTrial, maximize: bool) -> None:
        curve = _best_so_far(trial, maximize)
        self._curves[trial.number] = curve
        self._gains += [[] for _ in range(len(curve) - 1 - len(self._gains))]
        for epoch, gains in enumerate(self._gains[: max(0, len(curve) - 1)]):
            gains.append(curve[epoch + 1] - curve[epoch])

    def _worth(self, trial: FrozenTrial) -> FrozenTrial:
        curve = self._curves[trial.number]
        if not curve:
            return trial
        seen = copy.copy(trial)
        seen.state = TrialState.COMPLETE
        seen.values = [curve[-1] + sum(self._typical[len(curve) - 1 :])]
        return seen


def _best_so_far(trial: FrozenTrial, maximize: bool) -> Curve:
    """The best value until each epoch; empty for a trial that diverged, which no epoch before that excuses."""
    values = [value for _, value in sorted(trial.intermediate_values.items())]
    if trial.user_attrs.get("outcome") == "diverged" or not all(map(math.isfinite, values)):
        return ()
    best = max if maximize else min
    found: list[float] = []
    for value in values:
        found.append(best(value, found[-1]) if found else value)
    return tuple(found)


class ComparingSampler(WrappedSampler):
    """A sampler that learns from what was pruned.

    Args:
        sampler: any that takes a trial's value from the trial.
        comparison: of the study that is sampled.
    """

    def __init__(self, sampler: BaseSampler, comparison: Comparison) -> None:
        super().__init__(sampler)
        self._comparison = comparison

    def as_seen(self, study: Study) -> Study:
        # Several objectives are not reported epoch by epoch, and nothing of theirs is pruned.
        if study._is_multi_objective():
            return study
        maximize = study.direction is StudyDirection.MAXIMIZE
        return seen_as(study, lambda trials: self._comparison.of(trials, maximize))
