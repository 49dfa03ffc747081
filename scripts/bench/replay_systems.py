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
from replay_race import Running, Search

from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import SearchSpec
from tuner.worker.comparing import Comparison
from tuner.worker.optuna_trials import LiveTrial, live_trial
from tuner.worker.sampling import make_pruner, make_sampler

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

    def report(self, epoch: int, score: float) -> bool:
        self._trial.report(score, epoch - 1)
        return self._trial.should_prune()

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
        self._id, self._pruner, self._comparison = study._study_id, make_pruner(spec), Comparison()

    def ask(self) -> Running:
        trial_id = self._storage.create_new_trial(self._id)
        number = self._storage.get_trial(trial_id).number
        sampler = make_sampler(self._spec, number, comparison=self._comparison)
        live = live_trial(self._spec.study, self._storage, trial_id, sampler, self._pruner)
        return _ServiceTrial(live, use_defaults=number == 0 and self._defaults_first)


class _ServiceTrial:
    def __init__(self, live: LiveTrial, use_defaults: bool) -> None:
        self._live, self._use_defaults = live, use_defaults

    def suggest(self, name: str, written: str, default: Any) -> Any:
        return self._live.suggest(name, written, default if self._use_defaults else None)

    def report(self, epoch: int, score: float) -> bool:
        return self._live.report(epoch, score)

    def tell(self, best: float | None) -> None:
        state = TrialState.PRUNED if best is None else TrialState.COMPLETE
        self._live.tell(state, [] if best is None else [best], {})
