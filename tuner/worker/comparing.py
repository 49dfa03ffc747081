"""Trials as a sampler sees them: what a pruned or paused trial is worth is what it would have come to.

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
# The outcome of a trial that has not ended: it was paused, and may go on by now.
PAUSED, PROMOTED = "paused", "promoted"


class Comparison:
    """What the trials of one study are worth beside each other. It remembers what finished trials have reached."""

    def __init__(self) -> None:
        self._curves: dict[int, Curve] = {}
        self._gains: list[list[float]] = []
        self._ended: set[int] = set()
        self._typical: list[float] | None = None

    def of(self, trials: Sequence[FrozenTrial], maximize: bool) -> list[FrozenTrial]:
        """The trials, each one that was pruned or paused as a completed one of the value that it would have come to.

        Args:
            trials: of one study, some of which may have been given before.
        """
        for each in trials:
            if each.state is TrialState.COMPLETE or _is_halted(each):
                self._learn(each, maximize)
        if self._typical is None:
            self._typical = [median(gains) for gains in self._gains]
        return [self._worth(each) if _is_halted(each) else each for each in trials]

    def _learn(self, trial: FrozenTrial, maximize: bool) -> None:
        known = self._curves.get(trial.number)
        if known is not None and trial.number in self._ended:
            return
        if trial.state.is_finished():
            self._ended.add(trial.number)
        curve = _best_so_far(trial, maximize)
        self._curves[trial.number] = curve
        # A paused trial has been here before, with fewer epochs.
        for epoch in range(max(0, len(known or ()) - 1), len(curve) - 1):
            if epoch == len(self._gains):
                self._gains.append([])
            self._gains[epoch].append(curve[epoch + 1] - curve[epoch])
            self._typical = None

    def _worth(self, trial: FrozenTrial) -> FrozenTrial:
        curve = self._curves[trial.number]
        if not curve or self._typical is None:
            return trial
        seen = copy.copy(trial)
        seen.state = TrialState.COMPLETE
        seen.values = [curve[-1] + sum(self._typical[len(curve) - 1 :])]
        return seen


def _is_halted(trial: FrozenTrial) -> bool:
    """Whether it was pruned, or has been paused: an end that is known for now."""
    paused = trial.state is TrialState.RUNNING and trial.user_attrs.get("outcome") in (PAUSED, PROMOTED)
    return trial.state is TrialState.PRUNED or paused


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
