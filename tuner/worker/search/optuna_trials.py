"""The worker's side of Optuna: samples, reports, prunes and tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, GridSampler
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY as CONSTRAINTS_KEY
from optuna.trial import FrozenTrial, Trial, TrialState

from storage.fenced_optuna import FencedOptuna
from storage.fencing import Lease, trial_of
from storage.parameter_variants import is_compatible, is_variant, takes, variant
from storage.translation import optuna_errors
from tuner.study.open_study import OpenStudy
from tuner.worker.search.comparing import is_halted
from tuner.worker.search.kinds import WithinKinds
from tuner.worker.search.sampling import comparison_for, make_pruner, make_sampler
from tuner.worker.search.untried import is_used_up

ATTEMPTS_ATTRIBUTE = "tuner:attempts"


class _Study(optuna.Study):
    """A study whose sampler may say that it has nothing more to try."""

    exhausted = False

    def stop(self) -> None:
        # Optuna's own refuses outside study.optimize, where the enumerating samplers expect to be.
        self.exhausted = True


class LiveTrial:
    """A running Optuna trial, created by this worker or adopted.

    Args:
        known: the first distribution that the study has of each parameter, as far as somebody has looked: it stays.
    """

    def __init__(self, study: _Study, trial_id: int, known: dict[str, BaseDistribution] | None = None) -> None:
        self._study, self._known = study, {} if known is None else known
        self._trial = Trial(study, trial_id)
        self._trial_id = trial_id
        self._recorded: dict[str, Any] = dict(self._trial.params)

    @property
    def exhausted(self) -> bool:
        """Whether everything has been tried; known once the trial is told."""
        if self._study.exhausted:
            return True
        with optuna_errors():
            trials = self._study._storage.get_all_trials(self._study._study_id, deepcopy=False)
        # What is paused is tried already, and may yet go on.
        tried = [each for each in trials if each.state.is_finished() or is_halted(each)]
        if isinstance(sampler := self._study.sampler, GridSampler):
            return len({each.system_attrs.get("grid_id") for each in tried} - {None}) >= sampler._n_min_trials
        # Where code makes what one name takes depend on other values, trials show it only as far as they have gone.
        # Asked last, since it looks at every value of every trial.
        return is_used_up(tried) and not any(
            is_variant(*known) for each in tried for known in each.distributions.items()
        )

    def suggest(self, name: str, distribution_json: str, value: Any = None) -> Any:
        """The trial's value of a parameter: the stored one, else ``value``, else the sampler's.

        A parameter whose distribution differs from the one that the study has under this name, in a way that Optuna
        does not allow, gets a name of its own: see ``storage.parameter_variants``.

        Raises:
            ValueError: the distribution cannot be sampled.
        """
        distribution = json_to_distribution(distribution_json)
        own = variant(name, distribution)
        for stored in (name, own):
            if stored in self._recorded and takes(distribution, self._recorded[stored]):
                return self._recorded[stored]
        with optuna_errors():
            if name not in self._recorded and self._fits(name, distribution):
                try:
                    return self._suggest_as(name, distribution, value)
                except ValueError:
                    # Unless another worker was the first with this name.
                    if self._fits(name, distribution):
                        raise
            return self._suggest_as(own, distribution, value)

    def _suggest_as(self, name: str, distribution: BaseDistribution, value: Any) -> Any:
        if value is None:
            value = _suggest(self._trial, name, distribution)
        else:
            self._record(name, distribution, value)
        self._recorded[name] = value
        return value

    def _fits(self, name: str, distribution: BaseDistribution) -> bool:
        """Whether Optuna takes this distribution under this name, after what the study's trials have."""
        if name not in self._known:
            for trial in self._study._storage.get_all_trials(self._study._study_id, deepcopy=False):
                if name in trial.distributions:
                    self._known[name] = trial.distributions[name]
                    break
        return name not in self._known or is_compatible(self._known[name], distribution)

    def _record(self, name: str, distribution: BaseDistribution, value: Any) -> None:
        self._trial.storage.set_trial_param(self._trial_id, name, distribution.to_internal_repr(value), distribution)
        # The enumerating samplers read what is set from the trial's own copy.
        self._trial._cached_frozen_trial.distributions[name] = distribution
        self._trial._cached_frozen_trial.params[name] = value

    def report(self, epoch: int, value: float) -> bool:
        """Stores what the trial would be worth if it ended with this epoch; whether the pruner would end it here.

        That is what pruners compare, and what samplers learn from a trial that was pruned. The curve itself is among
        the stored epochs.
        """
        with optuna_errors():
            frozen = self.frozen()
            if epoch not in frozen.intermediate_values:
                self._trial.storage.set_trial_intermediate_value(self._trial_id, epoch, value)
                frozen.intermediate_values[epoch] = value
            return self._study.pruner.prune(self._study, frozen)

    def remember(self, key: str, value: Any) -> None:
        with optuna_errors():
            self._trial.storage.set_trial_user_attr(self._trial_id, key, value)

    def describe(self, told: Mapping[str, Any]) -> None:
        """Notes what Optuna's other tools show beside a trial that was not told yet; nothing of what is empty."""
        # Another worker that has found it untold may be the first.
        with optuna_errors(), suppress(UpdateFinishedTrialError):
            stored = self.frozen()
            for key, value in told.items():
                if value and stored.user_attrs.get(key) != value and not stored.state.is_finished():
                    self._trial.storage.set_trial_user_attr(self._trial_id, key, value)

    def recall(self, key: str, default: Any = None) -> Any:
        return self.frozen().user_attrs.get(key, default)

    def frozen(self) -> FrozenTrial:
        with optuna_errors():
            return self._trial.storage.get_trial(self._trial_id)

    def tell(self, state: TrialState, values: Sequence[float], violations: Mapping[str, float]) -> None:
        """Ends the trial in Optuna. Telling again what was told is recognised: an answer may have been lost.

        Args:
            values: of the objectives; they count only for a complete trial.
            violations: of the constraints by name, above 0 where one is violated.
        """
        with optuna_errors(), suppress(UpdateFinishedTrialError):
            stored = self.frozen()
            if stored.state.is_finished():
                return
            for name, violation in violations.items():
                if name not in stored.constraints:
                    self._trial.set_constraint(name, violation)
            if violations:
                # Where Optuna had them before it named them; optuna-dashboard looks nowhere else.
                self._trial.storage.set_trial_system_attr(self._trial_id, CONSTRAINTS_KEY, list(violations.values()))
            self._study.tell(
                stored.number,
                list(values) if state is TrialState.COMPLETE else None,
                state=state,
                skip_if_finished=True,
            )


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        step = {} if distribution.log else {"step": distribution.step}
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log, **step)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    raise ValueError(f"{name}: {type(distribution).__name__} is not known")


def live_trial(
    study: str,
    storage: Any,
    trial_id: int,
    sampler: BaseSampler,
    pruner: BasePruner,
    known: dict[str, BaseDistribution] | None = None,
) -> LiveTrial:
    """A trial of an Optuna storage, of the study of this name; ``known`` is what trials of it have seen."""
    return LiveTrial(_Study(study, storage, sampler=sampler, pruner=pruner), trial_id, known)


class OptunaTrials:
    """Opens the trials of one study for sampling, reporting and telling.

    Attributes:
        pruner: as the spec has it.
    """

    def __init__(self, study: OpenStudy) -> None:
        self._study = study
        self.pruner, kind = make_pruner(study.spec), study.record.space.get("kind")
        self._pruner = self.pruner if kind is None else WithinKinds(self.pruner, kind)
        self._comparison = comparison_for(study.spec)
        self._known: dict[str, BaseDistribution] = {}

    def open(self, lease: Lease) -> LiveTrial:
        """The lease's trial, whoever created it. Parameters already set keep their values; new ones are sampled.

        Raises:
            LeaseLost: another worker has acquired the lease; also from whatever is written to the trial later on.
        """
        assert lease.number is not None
        return self._open(FencedOptuna(self._study.database, lease), trial_of(lease), lease.number)

    def open_closed(self, trial_id: int, number: int) -> LiveTrial:
        """The trial of a closed lease, which can only be told what was closed."""
        return self._open(self._study.database.optuna, trial_id, number)

    def _open(self, storage: Any, trial_id: int, number: int) -> LiveTrial:
        with optuna_errors():
            # Optuna's cache knows only the trials that it has seen: this one may be another worker's.
            self._study.database.optuna.get_all_trials(self._study.id, deepcopy=False)
            grid = self._study.record.space.get("grid")
            sampler = make_sampler(self._study.spec, number, grid, self._comparison)
            return live_trial(self._study.name, storage, trial_id, sampler, self._pruner, self._known)
