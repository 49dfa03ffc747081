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

import numpy as np
from optuna import Study
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.trial.outcome import OUTCOME_ATTRIBUTE, Outcome
from tuner.worker.search.seen_study import seen_as
from tuner.worker.search.wrapped_sampler import WrappedSampler

Curve = tuple[float, ...]
# One of so many trials that are shown is among the best.
_BEST = 5
# The outcome of a trial that has not ended: it was paused, and may go on by now.
PAUSED, PROMOTED = Outcome.PAUSED.value, "promoted"


class Comparison:
    """What the trials of one study are worth beside each other. It remembers what trials have reached.

    Args:
        most: so many trials are shown at most, the best fifth and otherwise the latest: what a model costs does not
            grow with the study, and its best trials stay. None shows all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        # By the trials' places among those of the study, which Optuna lists in the order of their numbers. The last
        # value of a trial that went on to its end is its own; one that is worth nothing has NaN.
        self._curves: list[Curve] = []
        self._last: list[float] = []
        self._halted: set[int] = set()
        self._open: set[int] = set()
        self._gains: list[list[float]] = []
        self._still: list[float] | None = None

    def of(self, trials: Sequence[FrozenTrial], maximize: bool) -> list[FrozenTrial]:
        """The trials, each one that was pruned or paused as a completed one of the value that it would have come to.

        Args:
            trials: all of one study; the first of them may have been given before.
        """
        known = len(self._curves)
        added = len(trials) - known
        self._curves += [()] * added
        self._last += [math.nan] * added
        for place in [*sorted(self._open), *range(known, len(trials))]:
            self._learn(place, trials[place], maximize)
        still = self._still_to_gain()
        return [self._worth(place, trials[place], still) for place in self._shown(len(trials), still, maximize)]

    def _learn(self, place: int, trial: FrozenTrial, maximize: bool) -> None:
        (self._open.discard if trial.state.is_finished() else self._open.add)(place)
        (self._halted.add if is_halted(trial) else self._halted.discard)(place)
        if trial.state is not TrialState.COMPLETE and place not in self._halted:
            self._last[place] = math.nan
            return
        known, curve = self._curves[place], _best_so_far(trial, maximize)
        self._curves[place] = curve
        self._last[place] = trial.values[0] if trial.values else curve[-1] if curve else math.nan
        # A paused trial has been here before, with fewer epochs.
        for epoch in range(max(0, len(known) - 1), len(curve) - 1):
            if epoch == len(self._gains):
                self._gains.append([])
            self._gains[epoch].append(curve[epoch + 1] - curve[epoch])
            self._still = None

    def _still_to_gain(self) -> list[float]:
        """After so many epochs, what a trial still gains to the end, at the medians."""
        if self._still is None:
            typical = [median(gains) for gains in self._gains]
            self._still = [0.0, *(sum(typical[epoch:]) for epoch in range(len(typical) + 1))]
        return self._still

    def _worth(self, place: int, trial: FrozenTrial, still: Sequence[float]) -> FrozenTrial:
        curve = self._curves[place]
        if place not in self._halted or not curve:
            return trial
        seen = copy.copy(trial)
        seen.state = TrialState.COMPLETE
        seen.values = [curve[-1] + still[len(curve)]]
        return seen

    def _shown(self, count: int, still: Sequence[float], maximize: bool) -> Sequence[int]:
        if self._most is None or count <= self._most:
            return range(count)
        worth = np.array(self._last[:count])
        for place in self._halted:
            worth[place] += still[len(self._curves[place])]
        losses = np.nan_to_num(-worth if maximize else worth, nan=np.inf)
        best = np.argsort(losses, kind="stable")[: self._most // _BEST].tolist()
        latest = [place for place in range(count - self._most, count) if place not in set(best)]
        return sorted([*best, *latest[-(self._most - len(best)) :]])


def is_halted(trial: FrozenTrial) -> bool:
    """Whether it was pruned, or has been paused: an end that is known for now."""
    paused = trial.state is TrialState.RUNNING and trial.user_attrs.get(OUTCOME_ATTRIBUTE) in (PAUSED, PROMOTED)
    return trial.state is TrialState.PRUNED or paused


def _best_so_far(trial: FrozenTrial, maximize: bool) -> Curve:
    """The best value until each epoch; empty for a trial that diverged, which no epoch before that excuses."""
    values = [value for _, value in sorted(trial.intermediate_values.items())]
    if trial.user_attrs.get(OUTCOME_ATTRIBUTE) == Outcome.DIVERGED or not all(map(math.isfinite, values)):
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
