"""What queries answer, on every backend, held against Optuna's own answers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from storage import leaderboard, leases, samples, workers
from storage.database import Database
from storage.errors import UnknownColumn, UnknownStudy, UnknownTrial
from storage.history import history
from storage.leaderboard import StudyStatus, public_params
from storage.leases import Lease
from storage.studies import StudyRecord

NewStudy = Callable[..., StudyRecord]
SPACE = {
    "lr": FloatDistribution(1e-5, 1, log=True),
    "units[model=a]": IntDistribution(1, 1000),
    "kind": CategoricalDistribution(["plain", "residual"]),
    "kind@rank": IntDistribution(0, 1),
}


def plain_study(database: Database, direction: str, values: list[float]) -> optuna.Study:
    """A study that Optuna alone made, with failed, pruned and infinite trials among the complete ones."""
    random.seed(3)
    study = optuna.create_study(study_name="plain", storage=database.optuna, direction=direction)
    trials = [create_trial(value=v, params=_params(n), distributions=SPACE) for n, v in enumerate(values)]
    trials.insert(1, create_trial(state=TrialState.FAIL))
    trials.insert(2, create_trial(state=TrialState.PRUNED, intermediate_values={0: 99.0, 1: -99.0}))
    study.add_trials(trials)
    return study


def _params(number: int) -> dict[str, Any]:
    kind = random.choice(["plain", "residual"])
    return {"lr": random.uniform(1e-5, 1), "units[model=a]": number + 1, "kind": kind, "kind@rank": 0}


def run(database: Database, study: StudyRecord, outcome: str, value: float | None = None, **known: Any) -> Lease:
    """One trial of a launched study from its lease to its end."""
    lease = leases.acquire(database, study.study_id, "w1", 60)
    assert lease is not None
    lease = leases.start_trial(database, lease)
    assert lease.trial_id is not None and lease.number is not None
    result = leases.TrialResult(lease.trial_id, lease.number, outcome, value=value, **known)
    leases.close(database, lease, result)
    told = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(outcome, TrialState.FAIL)
    database.optuna.set_trial_state_values(lease.trial_id, told, None if value is None else [value])
    return lease


def test_public_params() -> None:
    stored = {"lr": 1, "units[model=a|b,pool=max]": 2, "x@rank": 3, "y[a=1]@mirror": 4, "odd[0].w": 5}
    assert public_params(stored) == {"lr": 1, "units": 2, "odd[0].w": 5}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_best_agrees_with_optuna(database: Database, direction: str) -> None:
    random.seed(1)
    values = [float(random.randrange(8)) for _ in range(16)] + [math.inf, -math.inf]
    study = plain_study(database, direction, values)
    ended = [each for each in study.trials if each.state is TrialState.COMPLETE]
    finite = [each for each in ended if each.value is not None and math.isfinite(each.value)]
    sign = -1 if direction == "maximize" else 1
    expected = sorted(finite, key=lambda each: (sign * (each.value or 0), each.number))
    best = leaderboard.best(database, "plain", 10)
    assert [(each.trial, each.value) for each in best] == [(each.number, each.value) for each in expected[:10]]
    assert best[0].params == public_params(expected[0].params)
    assert (best[0].state, best[0].outcome, best[0].metrics) == ("complete", None, {})
    assert len(leaderboard.best(database, "plain", 100)) == 16


def test_best_agrees_with_optuna_best_trial(database: Database) -> None:
    study = plain_study(database, "minimize", [3.0, 1.0, 2.0, 1.0])
    assert leaderboard.best(database, "plain", 1)[0].trial == study.best_trial.number == 3


def test_a_pruned_trial_is_ranked_if_its_model_is_kept(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3)
    run(database, study, "complete", 0.5)
    run(database, study, "pruned", 0.9)
    run(database, study, "pruned", 0.7, checkpoint="best.keras", checkpoint_size=1)
    best = leaderboard.best(database, "digits", 5)
    assert [(each.trial, each.state, each.value) for each in best] == [(2, "pruned", 0.7), (0, "complete", 0.5)]
    now = leaderboard.status(database, "digits")
    assert (now.complete, now.pruned, now.best_trial, now.best_value) == (1, 2, 2, 0.7)
    assert history(database, "digits").best == (2, 0)
    assert [point.trial for point in samples.points(database, "digits", 9).points if point.keeps] == [0, 2]
    leases.forget_checkpoint(database, study.study_id, 2)
    assert [each.trial for each in leaderboard.best(database, "digits", 5)] == [0]


def test_best_of_nothing(database: Database, new_study: NewStudy) -> None:
    new_study()
    assert leaderboard.best(database, "digits", 5) == []
    with pytest.raises(UnknownStudy, match="'digit'; there is 'digits'"):
        leaderboard.best(database, "digit", 5)


def test_trials_are_sorted_filtered_and_limited(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=5)
    run(database, study, "complete", 0.5, metrics={"val_loss": 2.0}, epochs=3, seconds=9.0)
    run(database, study, "failed", cause="bug", epochs=1, seconds=5.0)
    run(database, study, "complete", 0.7, metrics={"val_loss": math.nan}, epochs=2, seconds=7.0)
    run(database, study, "pruned", 0.1, metrics={"val_loss": 1.0}, epochs=1, seconds=1.0)

    def order(**options: Any) -> list[int]:
        return [each.trial for each in leaderboard.trials(database, "digits", **options)]

    assert order() == [0, 1, 2, 3]
    assert order(descending=True, limit=2) == [3, 2]
    assert order(sort="value") == [3, 0, 2, 1]
    assert order(sort="value", descending=True) == [2, 0, 3, 1]
    assert order(sort="epochs") == [1, 3, 2, 0]
    assert order(sort="epochs", descending=True) == [0, 2, 1, 3]
    assert order(sort="seconds", limit=1) == [3]
    assert order(sort="state") == [0, 2, 1, 3]
    assert order(sort="val_loss") == [3, 0, 1, 2]
    assert order(sort="val_loss", descending=True, limit=3) == [0, 3, 1]
    assert order(state="complete", sort="val_loss") == [0, 2]
    assert order(state="failed") == order(outcome="failed") == [1]
    assert order(state="running") == []
    with pytest.raises(UnknownColumn, match="trial, value, state, outcome, epochs, seconds, val_loss"):
        order(sort="nonsense")


def test_trials_are_sorted_by_hyperparameters(database: Database) -> None:
    plain_study(database, "maximize", [5.0, 4.0, 3.0])
    units = leaderboard.trials(database, "plain", sort="units", descending=True)
    assert [each.params.get("units") for each in units] == [3, 2, 1, None, None]
    kinds = [each.params.get("kind") for each in leaderboard.trials(database, "plain", sort="kind", limit=3)]
    assert kinds == sorted(kinds)
    with pytest.raises(UnknownColumn, match=r"seconds, kind, lr, units$"):
        leaderboard.trials(database, "plain", sort="kind@rank")


def test_infinite_values_are_shown(database: Database) -> None:
    plain_study(database, "maximize", [1.0, math.inf, -math.inf])
    listed = leaderboard.trials(database, "plain", state="complete", sort="value")
    assert [each.value for each in listed] == [-math.inf, 1.0, math.inf]


def test_a_trial_in_detail(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=1, presets=[{"units": 8}])
    lease = leases.acquire(database, study.study_id, "w1", 60)
    assert lease is not None
    lease = leases.start_trial(database, lease)
    leases.record_epoch(database, lease, 1, {"loss": math.nan}, 2.0)
    leases.record_epoch(database, lease, 0, {"loss": 1.0}, 1.0)
    running = leaderboard.trial(database, "digits", 0)
    assert (running.summary.state, running.summary.epochs, running.summary.seconds) == ("running", 2, 3.0)
    assert (running.attempts, running.worker, running.preset) == (1, "w1", {"units": 8})
    assert running.started_at is not None and running.ended_at is None
    assert [each.epoch for each in running.curve] == [0, 1]
    assert math.isnan(running.curve[1].metrics["loss"])
    known = {"cause": "c", "reason": "r", "traceback": "t", "best_epoch": 0, "parameters": 10}
    files = {
        "checkpoint": "best.keras",
        "checkpoint_size": 5_000_000_000,
        "checkpoint_sha256": "a" * 64,
        "log": "trial.log",
    }
    assert lease.trial_id is not None
    leases.close(database, lease, leases.TrialResult(lease.trial_id, 0, "diverged", epochs=2, **known, **files))
    ended = leaderboard.trial(database, "digits", 0)
    assert (ended.summary.state, ended.summary.outcome) == ("failed", "diverged")
    assert {name: getattr(ended, name) for name in known | files} == known | files
    assert ended.ended_at is not None and ended.ended_at >= running.started_at


def test_a_plain_trial_in_detail(database: Database) -> None:
    plain_study(database, "maximize", [1.0])
    detail = leaderboard.trial(database, "plain", 2)
    assert [(each.epoch, each.metrics) for each in detail.curve] == [(0, {"value": 99.0}), (1, {"value": -99.0})]
    assert (detail.summary.state, detail.summary.epochs, detail.attempts) == ("pruned", 2, None)
    with pytest.raises(UnknownTrial, match="no trial 3: it has trials 0 to 2"):
        leaderboard.trial(database, "plain", 3)


def counted(status: StudyStatus) -> tuple[int, ...]:
    parts = (status.complete, status.pruned, status.failed, status.running, status.open)
    assert status.budget == sum(parts)
    return parts


def test_status_adds_up(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=8)
    run(database, study, "complete", 0.5)
    run(database, study, "complete", 0.7)
    run(database, study, "pruned", 0.9)
    run(database, study, "out_of_memory")
    held = leases.start_trial(database, leases.acquire(database, study.study_id, "w1", 60))  # type: ignore[arg-type]
    leases.record_epoch(database, held, 0, {"val_accuracy": 0.1}, 1.0)
    leases.record_epoch(database, held, 1, {"val_accuracy": 0.2}, 1.0)
    released = leases.start_trial(database, leases.acquire(database, study.study_id, "w1", 60))  # type: ignore[arg-type]
    leases.release(database, released, spend_attempt=False)
    workers.register(database, "w1", study.study_id, host="h", pid=1, slots=1, gpus=[], version="0")
    status = leaderboard.status(database, "digits")
    assert counted(status) == (2, 1, 1, 1, 3)
    assert (status.state, status.budget) == ("running", 8)
    assert status.outcomes == {"complete": 2, "out_of_memory": 1, "pruned": 1}
    assert (status.best_value, status.best_trial) == (0.7, 1)
    (running,) = status.running_trials
    assert (running.trial, running.worker, running.epoch) == (held.number, "w1", 1)
    assert running.metrics == {"val_accuracy": 0.2}
    assert running.seconds is not None and 0 <= running.seconds < 30
    assert [each.id for each in status.workers] == ["w1"]
    waiting = leaderboard.trials(database, "digits", state="waiting")
    assert [each.trial for each in waiting] == [released.number]


def test_status_of_an_expired_and_an_untold_trial(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    untold = leases.start_trial(database, leases.acquire(database, study.study_id, "w1", 60))  # type: ignore[arg-type]
    assert untold.trial_id is not None
    leases.close(database, untold, leases.TrialResult(untold.trial_id, 0, "pruned", value=0.1))
    leases.start_trial(database, leases.acquire(database, study.study_id, "w1", 0))  # type: ignore[arg-type]
    status = leaderboard.status(database, "digits")
    assert counted(status) == (0, 1, 0, 0, 1)
    assert status.running_trials == []


def test_status_and_overview_of_a_plain_study(database: Database, new_study: NewStudy) -> None:
    plain = plain_study(database, "minimize", [3.0, 1.0])
    plain.ask()
    new_study(budget=4)
    status = leaderboard.status(database, "plain")
    assert counted(status) == (2, 1, 1, 1, 0)
    assert (status.state, status.best_value, status.best_trial) == ("optuna", 1.0, 3)
    assert [each.trial for each in status.running_trials] == [4]
    newest, oldest = leaderboard.overview(database)
    assert (newest.study, newest.state, newest.done, newest.budget) == ("digits", "running", 0, 4)
    assert (oldest.study, oldest.done, oldest.budget, oldest.best_value) == ("plain", 4, 5, 1.0)
    assert newest.created_at is not None and oldest.created_at is not None
    assert abs((newest.created_at - oldest.created_at).total_seconds()) < 30
