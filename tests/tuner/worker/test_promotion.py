"""Trials that are paused at rungs and promoted, from the worker to what is shown of them."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from storage import leaderboard, leases, progress, studies

HALVING = {"name": "promote", "min_resource": 1, "reduction_factor": 2}


def curve(database, study, number):
    """Epochs and metrics of a trial, as stored."""
    return [(epoch.epoch, epoch.metrics) for epoch in leaderboard.trial(database, study, number).curve]


@pytest.mark.fast
def test_a_promoted_trial_equals_the_undisturbed_one(create_study, run_worker, make_spec, database):
    training = {"epochs": 4, "batch_size": 16, "deterministic": True, "early_stopping": None}
    spec = make_spec("Deterministic", trials=3, sampler="random", seed=3, pruner=HALVING, training=training)
    record = create_study(spec)
    run_worker(spec)
    undisturbed = make_spec("Deterministic", study="undisturbed", trials=3, sampler="random", seed=3, training=training)
    create_study(undisturbed)
    run_worker(undisturbed)

    assert studies.load_study(database, spec.study).state == "finished"
    trials = leaderboard.trials(database, spec.study)
    assert sorted(each.outcome for each in trials) == ["complete", "pruned", "pruned"]
    resumed = 0
    for each in trials:
        whole = curve(database, "undisturbed", each.trial)
        assert curve(database, spec.study, each.trial) == whole[: each.epochs]
        detail = leaderboard.trial(database, spec.study, each.trial)
        assert detail.attempts <= 1
        resumed += "resumed after epoch" in Path(detail.log).read_text()
        if each.outcome == "complete":
            assert each.value == leaderboard.trials(database, "undisturbed")[each.trial].value
    assert resumed > 0
    status = progress.status(database, spec.study)
    assert (status.paused, status.open, [each.epoch for each in status.rungs]) == (0, 0, [1, 2])
    assert status.rungs[0].trials == 3 and status.rungs[0].promoted > 0
    assert not list(Path(record.artifacts).rglob("*.npz"))

    study = optuna.load_study(study_name=record.name, storage=database.optuna)
    told = study.get_trials()
    assert sorted(each.state for each in told) == [TrialState.COMPLETE, *[TrialState.PRUNED] * 2]
    assert [len(each.intermediate_values) for each in told] == [each.epochs for each in trials]


def test_a_budget_of_epochs_is_spent_to_the_last_one(create_study, run_worker, make_spec, database):
    training = {"epochs": 3, "batch_size": 16, "early_stopping": None}
    budget = {"epochs": 7}
    spec = make_spec(
        "Fast", trials=20, sampler="random", pruner=HALVING, training=training, budget=budget, resources={"slots": 2}
    )
    record = create_study(spec)
    run_worker(spec)
    ended = studies.load_study(database, spec.study)
    assert (ended.state, ended.reason) == ("finished", "the budget of 7 epochs is used up")
    trials = leaderboard.trials(database, spec.study)
    assert sum(each.epochs for each in trials) == 7
    assert sum(len(curve(database, spec.study, each.trial)) for each in trials) == 7
    assert {each.outcome for each in trials} <= {"complete", "pruned"}
    counts = leases.counts(database, record.study_id)
    assert (counts.held, counts.paused, counts.closed) == (0, 0, len(trials))
