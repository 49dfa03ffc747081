"""The searches that race: Optuna's own as their users write them, and the service's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna import pruners, samplers
from optuna.distributions import json_to_distribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from replay_race import Running, Search, Verdict

from storage.promotion.rule import Arrival, RungRule, Rungs
from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import SearchSpec
from tuner.trial.outcome import OUTCOME_ATTRIBUTE
from tuner.worker.search.comparing import PAUSED, PROMOTED
from tuner.worker.search.optuna_trials import LiveTrial, live_trial
from tuner.worker.search.rungs import Promote
from tuner.worker.search.sampling import comparison_for, make_pruner, make_sampler

# Of trials that may still begin: what ends a race is its epochs.
_MANY = 1_000_000
Make = Callable[[int], Search]


def optunas(epochs: int, maximize: bool) -> dict[str, Make]:
    """Optuna's samplers with its pruners, by name."""
    direction = "maximize" if maximize else "minimize"
    sampler_kinds: Mapping[str, Callable[[int], samplers.BaseSampler]] = {
        "tpe": lambda seed: samplers.TPESampler(seed=seed),
        "tpe univariate": lambda seed: samplers.TPESampler(seed=seed, multivariate=False),
        "tpe grouped": lambda seed: samplers.TPESampler(seed=seed, multivariate=True, group=True),
        "random": lambda seed: samplers.RandomSampler(seed=seed),
    }
    pruner_kinds: Mapping[str, Callable[[], pruners.BasePruner]] = {
        "halving": pruners.SuccessiveHalvingPruner,
        "hyperband": lambda: pruners.HyperbandPruner(max_resource=epochs),
        "median": pruners.MedianPruner,
        "percentile": lambda: pruners.PercentilePruner(75.0),
        "none": pruners.NopPruner,
    }
    return {
        f"optuna {sampler}, {pruner}": _raw(make_one, make_other, direction)
        for sampler, make_one in sampler_kinds.items()
        for pruner, make_other in pruner_kinds.items()
    }


def _raw(
    sampler: Callable[[int], samplers.BaseSampler], pruner: Callable[[], pruners.BasePruner], direction: str
) -> Make:
    return lambda seed: _Raw(optuna.create_study(sampler=sampler(seed), pruner=pruner(), direction=direction))


class _Raw:
    def __init__(self, study: optuna.Study) -> None:
        self._study = study

    def ask(self) -> Running:
        return _RawTrial(self._study, self._study.ask())


class _RawTrial:
    def __init__(self, study: optuna.Study, trial: optuna.Trial) -> None:
        self._study, self._trial = study, trial

    def suggest(self, name: str, written: str, default: Any) -> Any:
        return self._trial._suggest(name, json_to_distribution(written))

    def report(self, epoch: int, score: float) -> Verdict:
        self._trial.report(score, epoch - 1)
        return "end" if self._trial.should_prune() else "go on"

    def tell(self, best: float | None) -> None:
        state = TrialState.PRUNED if best is None else TrialState.COMPLETE
        self._study.tell(self._trial, best, state=state)


def service(epochs: int, trials: int, maximize: bool, *, defaults_first: bool = False, **said: Any) -> Make:
    """The service's search.

    Args:
        trials: what the spec says; the race lets it have as many as it likes.
        defaults_first: of a space whose defaults are good.
        said: what the spec says besides.
    """
    objective = {"metric": "score", "direction": "maximize" if maximize else "minimize"}
    written = {
        "study": "replay",
        "data": {"kind": "npz", "path": "."},
        "space": "module:Space",
        "objective": objective,
        "trials": trials,
        "training": {"epochs": epochs},
        **said,
    }

    def make(seed: int) -> Search:
        return _Service(validate_spec({**written, "seed": seed}, source="replay", base=Path()), defaults_first)

    return make


class _Service:
    def __init__(self, spec: SearchSpec, defaults_first: bool) -> None:
        self._spec, self._defaults_first = spec, defaults_first
        self._storage = InMemoryStorage()
        study = optuna.create_study(storage=self._storage, study_name=spec.study, direction=spec.objective.direction)
        self._id, self._pruner, self._comparison = study._study_id, make_pruner(spec), comparison_for(spec)

        rule = self._pruner.rule if isinstance(self._pruner, Promote) else None
        self._promotion = None if rule is None else _Promotion(rule, self._spec.objective.direction == "maximize")

    def ask(self) -> Running:
        if self._promotion is not None and (promoted := self._promotion.next()) is not None:
            return promoted
        trial_id = self._storage.create_new_trial(self._id)
        number = self._storage.get_trial(trial_id).number
        sampler = make_sampler(self._spec, number, comparison=self._comparison)
        live = live_trial(self._spec.study, self._storage, trial_id, sampler, self._pruner)
        return _ServiceTrial(live, number, number == 0 and self._defaults_first, self._promotion)


class _Promotion:
    """The rungs of a search whose trials are paused."""

    def __init__(self, rule: RungRule, maximize: bool) -> None:
        self._rule, self._maximize = rule, maximize
        self._losses: dict[tuple[int, int], float] = {}
        self._trials: dict[int, _ServiceTrial] = {}
        self._states: dict[int, str] = {}

    def next(self) -> _ServiceTrial | None:
        promotable = self._rungs.promotable()
        if not promotable:
            return None
        self._states[promotable[0]] = "held"
        self._trials[promotable[0]].go_on()
        return self._trials[promotable[0]]

    def pauses(self, trial: _ServiceTrial, epoch: int, score: float) -> bool:
        if epoch not in self._rule.rungs:
            return False
        self._losses[trial.number, epoch] = -score if self._maximize else score
        self._trials[trial.number], self._states[trial.number] = trial, "held"
        if self._rungs.passes(trial.number, epoch, None):
            return False
        self._states[trial.number] = "paused"
        return True

    def end_hopeless(self) -> None:
        for number in self._rungs.hopeless():
            self._states[number] = "closed"
            self._trials[number].tell(None)

    @property
    def _rungs(self) -> Rungs:
        known = [
            Arrival(trial, epoch, None, (loss,), self._states[trial]) for (trial, epoch), loss in self._losses.items()
        ]
        return Rungs(self._rule, known, _MANY)


class _ServiceTrial:
    def __init__(self, live: LiveTrial, number: int, use_defaults: bool, promotion: _Promotion | None) -> None:
        self.number = number
        self._live, self._use_defaults, self._promotion = live, use_defaults, promotion

    def suggest(self, name: str, written: str, default: Any) -> Any:
        return self._live.suggest(name, written, default if self._use_defaults else None)

    def report(self, epoch: int, score: float) -> Verdict:
        if self._live.report(epoch, score):
            return "end"
        if self._promotion is None or not self._promotion.pauses(self, epoch, score):
            return "go on"
        self._live.remember(OUTCOME_ATTRIBUTE, PAUSED)
        self._promotion.end_hopeless()
        return "pause"

    def go_on(self) -> None:
        self._live.remember(OUTCOME_ATTRIBUTE, PROMOTED)

    def tell(self, best: float | None) -> None:
        state = TrialState.PRUNED if best is None else TrialState.COMPLETE
        self._live.tell(state, [] if best is None else [best], {})
