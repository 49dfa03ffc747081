"""Which configurations of a study's space were tried, as far as trials tell: the space branches as it is asked for.

The trials of a study are a tree: a parameter is a node, each of its values leads to the parameters that were asked for
next, and a trial ends at a leaf. A branch is used up when every value of every parameter in it has been tried; a
parameter with more values than can be listed never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from storage.parameter_variants import takes
from tuner.worker.search.wrapped_sampler import WrappedSampler

# A parameter with more values is as good as continuous.
_MOST_VALUES = 1000
_ABSENT = object()


def is_used_up(trials: Sequence[FrozenTrial], depth: int = 0) -> bool:
    """Whether trials that are alike in their first ``depth`` parameters leave nothing to try after these."""
    if not any(each.params for each in trials):
        # Without hyperparameters a study trains one configuration as often as it says.
        return False
    longest = max(trials, key=lambda each: len(each.params))
    if len(longest.params) <= depth:
        return True
    name, distribution = list(longest.distributions.items())[depth]
    values = _values(distribution)
    # Trials that broke off before this parameter say nothing of what comes after it.
    by_value: dict[Any, list[FrozenTrial]] = {}
    for each in trials:
        if name in each.params:
            by_value.setdefault(each.params[name], []).append(each)
    return len(by_value) >= len(values) > 0 and all(
        value in by_value and is_used_up(by_value[value], depth + 1) for value in values
    )


class UntriedSampler(WrappedSampler):
    """A sampler that draws no configuration a second time, while there is another one.

    Where a value leads to nothing that was not tried, or is being tried, the nearest one that does takes its place.
    """

    def __init__(self, sampler: BaseSampler) -> None:
        super().__init__(sampler)
        self._together: dict[str, BaseDistribution] = {}
        self._drawn: dict[str, Any] = {}
        self._alike: _Alike | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        # What is drawn together is kept here, and given one by one, since each may have to be another.
        self._together = super().infer_relative_search_space(study, trial)
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._drawn = super().sample_relative(study, trial, self._together)
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        drawn = self._drawn.get(param_name)
        if drawn is None or not takes(param_distribution, drawn):
            drawn = super().sample_independent(study, trial, param_name, param_distribution)
        values = _values(param_distribution)
        if drawn not in values:
            return drawn
        others = study._storage.get_all_trials(study._study_id, deepcopy=False)
        if self._alike is None:
            self._alike = _Alike(others)
        alike = self._alike.to(trial, others)
        depth = len(trial.params) + 1
        nearest = sorted(values, key=lambda value: abs(values.index(value) - values.index(drawn)))
        return next(
            (value for value in nearest if not is_used_up(_having(alike, param_name, value), depth)),
            drawn,
        )


class _Alike:
    """The other trials that begin as one does.

    Those that had ended when its first parameter was asked for are looked at once for each of its parameters, and no
    more of them than were alike until then; the others are looked at anew, since they go on meanwhile.

    Args:
        others: all trials of the study. Later on there may be more behind them.
    """

    def __init__(self, others: Sequence[FrozenTrial]) -> None:
        self._ended = [place for place, each in enumerate(others) if each.state.is_finished()]
        self._open = [place for place, each in enumerate(others) if not each.state.is_finished()]
        self._count, self._compared = len(others), 0

    def to(self, trial: FrozenTrial, others: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        asked = list(trial.params.items())
        for name, value in asked[self._compared :]:
            self._ended = [place for place in self._ended if others[place].params.get(name, _ABSENT) == value]
        self._compared = len(asked)
        going_on = (others[place] for place in [*self._open, *range(self._count, len(others))])
        return [
            *(others[place] for place in self._ended),
            *(each for each in going_on if each.number != trial.number and _begins_as(each, trial)),
        ]


def _begins_as(other: FrozenTrial, trial: FrozenTrial) -> bool:
    known = other.params
    return all(name in known and known[name] == value for name, value in trial.params.items())


def _having(trials: Sequence[FrozenTrial], name: str, value: Any) -> list[FrozenTrial]:
    return [each for each in trials if name in each.params and each.params[name] == value]


def _values(distribution: BaseDistribution) -> list[Any]:
    """All values, in order; none where they cannot be listed."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        return []
    if distribution.single():
        return [distribution.low]
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is None or high - low >= _MOST_VALUES * step:
        return []
    return [low + at * step for at in range(round((high - low) / step) + 1)]
