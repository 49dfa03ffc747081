"""Budgets of epochs and of training time, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storage import leaderboard, leases
from storage.connecting import connect
from storage.database import Database
from storage.leases import Lease, TrialResult
from storage.spending import Allowance, is_used_up, may_go_on
from storage.studies import StudyRecord

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]


def taken(database: Database, study: StudyRecord, allowance: Allowance) -> Lease | None:
    lease = leases.acquire(database, study.study_id, "w", 60, None, allowance)
    return None if lease is None else leases.start_trial(database, lease)


def train(database: Database, lease: Lease, epochs: range, allowance: Allowance, seconds: float = 1.0) -> int:
    """The epochs that the lease's trial could train, at most these."""
    trained = 0
    for epoch in epochs:
        leases.record_epoch(database, lease, epoch, {"val_loss": 1.0}, seconds)
        trained += 1
        if epoch < epochs[-1] and not may_go_on(database, lease, allowance):
            break
    return trained


def close(database: Database, lease: Lease) -> None:
    assert lease.trial_id is not None and lease.number is not None
    found = leases.trained(database, lease.trial_id)
    leases.close(
        database,
        lease,
        TrialResult(lease.trial_id, lease.number, "complete", epochs=found.epochs, seconds=found.seconds),
    )


def _work(index: int, url: str, study: StudyRecord) -> int:
    database, allowance, trained = connect(url), Allowance("epochs", 23), 0
    while (lease := taken(database, study, allowance)) is not None:
        trained += train(database, lease, range(1, 4 + index), allowance)
        close(database, lease)
    database.close()
    return trained


def test_workers_that_race_train_the_budget_exactly(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = new_study(budget=30)
    assert sum(race(4, _work, database_url, study)) <= 23
    # What one put aside in vain was free again after others had looked.
    _work(0, database_url, study)
    assert sum(each.epochs for each in leaderboard.trials(database, study.name)) == 23
    assert is_used_up(database, study.study_id, Allowance("epochs", 23))
    assert not is_used_up(database, study.study_id, Allowance("epochs", 24))


def test_a_trial_that_was_left_keeps_its_next_epoch(database: Database, new_study: NewStudy) -> None:
    study, allowance = new_study(budget=3), Allowance("epochs", 3)
    left = taken(database, study, allowance)
    assert left is not None and train(database, left, range(1, 2), allowance) == 1
    assert may_go_on(database, left, allowance)
    other = taken(database, study, allowance)
    assert other is not None
    leases.release(database, left, spend_attempt=False)
    again = taken(database, study, allowance)
    assert again is not None and again.number == left.number
    assert taken(database, study, allowance) is None, "an epoch is put aside for each of two"
    train(database, other, range(1, 2), allowance)
    assert not may_go_on(database, other, allowance)


def test_of_time_an_epoch_is_expected_to_take_as_long_as_the_one_before(
    database: Database, new_study: NewStudy
) -> None:
    study, allowance = new_study(budget=3), Allowance("seconds", 10.0)
    lease = taken(database, study, allowance)
    assert lease is not None
    assert train(database, lease, range(1, 9), allowance, seconds=3.0) == 3
    assert not is_used_up(database, study.study_id, allowance)
    close(database, lease)
    last = taken(database, study, allowance)
    assert last is not None
    assert train(database, last, range(1, 9), allowance, seconds=1.0) == 1
    close(database, last)
    assert taken(database, study, allowance) is None
    assert is_used_up(database, study.study_id, allowance)
