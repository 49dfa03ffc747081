from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution

from tuner.hyperparameters import Suggest

optuna.logging.set_verbosity(optuna.logging.WARNING)


def answer_from(trial: optuna.Trial) -> Suggest:
    """A suggest function over a real trial: what is stored, else the value given, else a sample."""
    stored = dict(trial.params)

    def suggest(name: str, distribution: BaseDistribution, value: Any) -> Any:
        if name not in stored and value is None:
            stored[name] = trial._suggest(name, distribution)
        elif name not in stored:
            internal = distribution.to_internal_repr(value)
            assert distribution._contains(internal), (name, distribution, value)
            trial.storage.set_trial_param(trial._trial_id, name, internal, distribution)
            stored[name] = distribution.to_external_repr(internal)
        return stored[name]

    return suggest


@pytest.fixture
def answers() -> Callable[[optuna.Trial], Suggest]:
    return answer_from


@pytest.fixture(params=["random", "tpe"])
def study(request: pytest.FixtureRequest) -> optuna.Study:
    if request.param == "random":
        sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=0)
    else:
        sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=5, multivariate=True, group=True)
    return optuna.create_study(sampler=sampler)
