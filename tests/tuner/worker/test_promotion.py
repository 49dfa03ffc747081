"""Trials that are paused at rungs and promoted, from the worker to what is shown of them."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from storage import leaderboard, leases, progress, studies
from storage.leases import TrialResult
from storage.promotion.rows import arrive, end_paused, pause
from tuner.presentation.views import status_facts
from tuner.study.open_study import OpenStudy
from tuner.worker.closing import TrialCloser
from tuner.worker.metrics import WorkerMetrics
from tuner.worker.search.optuna_trials import OptunaTrials

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
    shown = status_facts(status, spec)
    assert shown["trials"] == "3 of 3 done: 1 complete, 2 pruned, 0 failed, 0 running, 0 open, 0 paused"
    assert shown["rungs"].startswith("epoch 1: 3 trials, ")
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


def test_trials_that_were_ended_and_not_told_are_told_by_whoever_comes_next(create_study, make_spec, database):
    spec = make_spec("Fast", trials=2, sampler="random", pruner=HALVING, training={"epochs": 4})
    study = OpenStudy(database, create_study(spec))
    trials = OptunaTrials(study)
    for loss in (0.1, 0.2):
        lease = leases.start_trial(database, leases.acquire(database, study.id, "w", 60))
        assert not arrive(database, lease, trials.pruner.rule, 1, None, [loss])
        pause(database, lease, TrialResult(lease.trial_id, lease.number, "pruned", value=-loss, best_epoch=1))
    # Then the database is away, or the worker dies.
    assert len(end_paused(database, study.id, None)) == 2
    for _ in range(2):
        TrialCloser(study, 3, WorkerMetrics()).end_paused(trials, trials.pruner.rule)
    told = optuna.load_study(study_name=study.name, storage=database.optuna).get_trials()
    assert [each.state for each in told] == [TrialState.PRUNED] * 2
    assert studies.load_study(database, study.name).state == "finished"


def test_trials_with_several_objectives_are_paused_and_promoted_by_their_fronts(
    create_study, run_worker, make_spec, database
):
    objective = [{"metric": "val_score", "direction": "maximize"}, {"metric": "parameters", "direction": "minimize"}]
    # Of two with equal scores the larger one is dominated, and never goes on.
    grid = {"units": [4], "waste": [0, 8], "diverges": [False]}
    training = {"epochs": 2, "batch_size": 16, "early_stopping": None}
    # The better one comes first and is paused: when the other one ends, every point of the grid has been tried.
    searched = {"objective": objective, "sampler": "grid", "seed": 1, "pruner": HALVING}
    # More trials than the grid has points: the others do not begin.
    spec = make_spec("Sized", trials=5, training=training, **searched)
    record = create_study(spec, grid=grid)
    run_worker(spec)
    trials = leaderboard.trials(database, spec.study)
    ended = {each.params["waste"]: (each.outcome, each.epochs) for each in trials}
    assert ended == {0: ("complete", 2), 8: ("pruned", 1)}
    assert studies.load_study(database, spec.study).state == "finished"
    best = leaderboard.best(database, record.name, None)
    assert best[0].params["waste"] == 0
