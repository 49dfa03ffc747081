"""Budgets of epochs and of training time, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storage import leaderboard, leases, studies
from storage.connecting import connect
from storage.database import Database
from storage.leases import Lease, TrialResult
from storage.promotion.rows import arrive, pause
from storage.promotion.rule import RungRule
from storage.spending import Allowance, may_go_on
from storage.studies import StudyRecord

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]
HALVING = RungRule((1,), 2)


def limited(new_study: NewStudy, trials: int, **budget: float) -> StudyRecord:
    return new_study(budget=trials, spec={"budget": budget})


def change(database: Database, study: StudyRecord, **budget: float) -> None:
    studies.take_up(database, study.study_id, spec={"budget": budget}, timeout=None)


def taken(database: Database, study: StudyRecord, rule: RungRule | None = None, seconds: float = 60) -> Lease | None:
    lease = leases.acquire(database, study.study_id, "w", seconds, rule)
    return None if lease is None else leases.start_trial(database, lease)


def certainly_taken(database: Database, study: StudyRecord, rule: RungRule | None = None, seconds: float = 60) -> Lease:
    lease = taken(database, study, rule, seconds)
    assert lease is not None
    return lease


def train(database: Database, lease: Lease, epochs: range, seconds: float = 1.0) -> int:
    """The epochs that the lease's trial could train, at most these."""
    trained = 0
    for epoch in epochs:
        leases.record_epoch(database, lease, epoch, {"val_loss": 1.0}, seconds)
        trained += 1
        if epoch < epochs[-1] and not may_go_on(database, lease):
            break
    return trained


def lay_aside(database: Database, lease: Lease, loss: float) -> None:
    assert lease.trial_id is not None and lease.number is not None
    assert not arrive(database, lease, HALVING, 1, None, [loss])
    pause(database, lease, TrialResult(lease.trial_id, lease.number, "pruned", value=loss, best_epoch=1))


def close(database: Database, lease: Lease) -> None:
    assert lease.trial_id is not None and lease.number is not None
    found = leases.trained(database, lease.trial_id)
    leases.close(
        database,
        lease,
        TrialResult(lease.trial_id, lease.number, "complete", epochs=found.epochs, seconds=found.seconds),
    )


def _work(index: int, url: str, study: StudyRecord) -> int:
    database, trained = connect(url), 0
    while (lease := taken(database, study)) is not None:
        trained += train(database, lease, range(1, 4 + index))
        close(database, lease)
    database.close()
    return trained


def test_workers_that_race_train_the_budget_exactly(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = limited(new_study, 30, epochs=23)
    assert sum(race(4, _work, database_url, study)) <= 23
    # What one put aside in vain was free again after others had looked.
    _work(0, database_url, study)
    assert sum(each.epochs for each in leaderboard.trials(database, study.name)) == 23
    assert leases.used_up(database, study.study_id) == Allowance("epochs", 23)
    change(database, study, epochs=24)
    assert leases.used_up(database, study.study_id) is None
    _work(0, database_url, study)
    assert sum(each.epochs for each in leaderboard.trials(database, study.name)) == 24


def test_a_trial_that_was_left_keeps_its_next_epoch(database: Database, new_study: NewStudy) -> None:
    study = limited(new_study, 3, epochs=3)
    left = certainly_taken(database, study)
    assert train(database, left, range(1, 2)) == 1
    assert may_go_on(database, left)
    other = certainly_taken(database, study)
    leases.release(database, left, spend_attempt=False)
    assert certainly_taken(database, study).number == left.number
    assert taken(database, study) is None, "an epoch is put aside for each of two"
    train(database, other, range(1, 2))
    assert not may_go_on(database, other)


@pytest.mark.parametrize("dies", [True, False])
def test_a_trial_that_was_left_at_its_end_is_given_to_another_worker_to_be_ended(
    database: Database, new_study: NewStudy, dies: bool
) -> None:
    study = limited(new_study, 3, epochs=2)
    left = certainly_taken(database, study, seconds=0 if dies else 60)
    assert train(database, left, range(1, 3)) == 2 and not may_go_on(database, left)
    if not dies:
        assert leases.used_up(database, study.study_id) is None, "somebody has the trial"
        leases.release(database, left, spend_attempt=True)
    assert leases.used_up(database, study.study_id) is None, "the trial has no result"
    adopted = certainly_taken(database, study)
    assert adopted.number == left.number
    assert not may_go_on(database, adopted)
    assert (taken(database, study), leases.used_up(database, study.study_id)) == (None, None)
    close(database, adopted)
    assert (taken(database, study), leases.used_up(database, study.study_id)) == (None, Allowance("epochs", 2))


def test_a_paused_trial_for_which_nothing_is_left_is_not_taken_up(database: Database, new_study: NewStudy) -> None:
    study = limited(new_study, 2, trial_time=12.0)
    for loss in (0.1, 0.2):
        lease = certainly_taken(database, study, HALVING)
        train(database, lease, range(1, 2), seconds=5.0)
        lay_aside(database, lease, loss)
    # Of 12 s are 2 left, and its next epoch needs 5.
    assert taken(database, study, HALVING) is None
    assert leases.used_up(database, study.study_id, HALVING) == Allowance("seconds", 12.0)
    change(database, study, trial_time=15.0)
    assert leases.used_up(database, study.study_id, HALVING) is None
    assert certainly_taken(database, study, HALVING).promoted


def test_what_a_paused_trial_had_put_aside_is_not_its_own_when_it_goes_on(
    database: Database, new_study: NewStudy
) -> None:
    study = limited(new_study, 3, trial_time=20.0)
    first = certainly_taken(database, study, HALVING)
    leases.record_epoch(database, first, 1, {}, 9.0)
    assert may_go_on(database, first)
    # The second one was quicker than expected.
    leases.record_epoch(database, first, 2, {}, 1.0)
    lay_aside(database, first, 0.1)
    others = [certainly_taken(database, study, HALVING) for _ in range(2)]
    for loss, other in enumerate(others, 1):
        leases.record_epoch(database, other, 1, {}, 5.0)
        lay_aside(database, other, float(loss))
    assert taken(database, study, HALVING) is None


def test_a_budget_that_comes_late_counts_what_was_trained_without_it(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=4)
    ended, going_on = certainly_taken(database, study), certainly_taken(database, study)
    assert train(database, ended, range(1, 4)) == 3
    close(database, ended)
    assert train(database, going_on, range(1, 3)) == 2
    # The third one has begun meanwhile.
    change(database, study, epochs=6)
    assert taken(database, study) is None
    leases.record_epoch(database, going_on, 3, {}, 1.0)
    assert not may_go_on(database, going_on)
    change(database, study, epochs=8)
    assert may_go_on(database, going_on)
    assert taken(database, study) is not None and taken(database, study) is None


def test_of_time_an_epoch_is_expected_to_take_as_long_as_the_one_before(
    database: Database, new_study: NewStudy
) -> None:
    study = limited(new_study, 3, trial_time=10.0)
    lease = certainly_taken(database, study)
    assert train(database, lease, range(1, 9), seconds=3.0) == 3
    assert leases.used_up(database, study.study_id) is None
    close(database, lease)
    last = certainly_taken(database, study)
    assert train(database, last, range(1, 9), seconds=1.0) == 1
    close(database, last)
    assert taken(database, study) is None
    assert leases.used_up(database, study.study_id) == Allowance("seconds", 10.0)
