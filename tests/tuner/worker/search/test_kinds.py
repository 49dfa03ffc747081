"""Pruning among trials of one kind."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.pruners import BasePruner, MedianPruner, SuccessiveHalvingPruner

from tuner.worker.search.kinds import WithinKinds

PRUNERS = [
    SuccessiveHalvingPruner(min_resource=1, reduction_factor=4),
    MedianPruner(n_startup_trials=1, n_min_trials=1),
]


def decisions(pruner: BasePruner, trials: list[tuple[str, float]]) -> list[bool]:
    """Whether each trial is pruned after its first epoch; the others end as complete."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    made = []
    for kind, value in trials:
        study.enqueue_trial({"kind": kind})
        trial = study.ask(fixed_distributions={"kind": CategoricalDistribution(["trees", "network"])})
        trial.report(value, 1)
        made.append(trial.should_prune())
        study.tell(trial, value)
    return made


@pytest.mark.parametrize("pruner", PRUNERS, ids=lambda pruner: type(pruner).__name__)
def test_a_network_is_compared_with_networks(pruner: BasePruner) -> None:
    trials = [("trees", 0.90), ("network", 0.70), ("network", 0.60), ("trees", 0.65)]
    assert decisions(pruner, trials)[1:] == [True, True, True]
    assert decisions(WithinKinds(pruner, "kind"), trials) == [False, False, True, True]


def test_trials_without_the_parameter_are_of_one_kind() -> None:
    pruner = WithinKinds(MedianPruner(n_startup_trials=1, n_min_trials=1), "other")
    assert decisions(pruner, [("trees", 0.9), ("network", 0.7)]) == [False, True]
