"""What leases promise, on every backend."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.orm import Session

from storage import leaderboard, leases, studies
from storage.connecting import connect
from storage.database import Database
from storage.errors import DatabaseUnavailable, LeaseLost, TrialTaken
from storage.fencing import fenced
from storage.leases import Lease, LeaseCounts, TrialResult
from storage.studies import StudyRecord
from storage.tables import EpochRow, LeaseRow

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]


def acquired(database: Database, study: StudyRecord, worker: str = "w1", seconds: float = 60) -> Lease:
    lease = leases.acquire(database, study.study_id, worker, seconds)
    assert lease is not None
    return lease


def started(database: Database, study: StudyRecord, worker: str = "w1", seconds: float = 60) -> Lease:
    return leases.start_trial(database, acquired(database, study, worker, seconds))


def result_of(lease: Lease, outcome: str = "complete", **known: Any) -> TrialResult:
    assert lease.trial_id is not None and lease.number is not None
    return TrialResult(trial_id=lease.trial_id, number=lease.number, outcome=outcome, **known)


def test_a_new_lease_is_whole(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    lease = acquired(database, study)
    assert (lease.study_id, lease.ordinal) == (study.study_id, 0)
    assert (lease.token, lease.attempts) == (1, 1)
    assert (lease.trial_id, lease.number, lease.preset, lease.resume) == (None, None, {}, None)


def test_leases_come_in_order_and_end(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3)
    assert [acquired(database, study).ordinal for _ in range(3)] == [0, 1, 2]
    assert leases.acquire(database, study.study_id, "w1", 60) is None
    assert leases.counts(database, study.study_id) == LeaseCounts(open=0, held=3, closed=0)


def test_presets_come_first(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3, presets=[{}, {"units": 8}])
    first = acquired(database, study)
    assert (first.ordinal, first.preset) == (1, {"units": 8})
    assert acquired(database, study).ordinal == 0


def test_a_study_takes_no_lease_of_another(database: Database, new_study: NewStudy) -> None:
    one, other = new_study("one", budget=1), new_study("other", budget=1)
    acquired(database, one)
    assert leases.acquire(database, one.study_id, "w1", 60) is None
    assert acquired(database, other).study_id == other.study_id


def test_an_expired_lease_is_adopted_first_with_all_it_has(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3, presets=[{}, {}, {"units": 8}])
    acquired(database, study)
    dead = started(database, study, seconds=0)
    leases.save_resume(database, dead, {"epoch": 4, "file": "r4"})
    adopted = acquired(database, study, "w2")
    assert (adopted.id, adopted.trial_id, adopted.number) == (dead.id, dead.trial_id, dead.number)
    assert (adopted.token, adopted.attempts) == (2, 2)
    assert adopted.resume == {"epoch": 4, "file": "r4"}


def test_expiry_follows_the_database_clock(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=1)
    acquired(database, study, seconds=0.2)
    held_until = database.clock().timestamp() + 0.2
    assert leases.acquire(database, study.study_id, "w2", 60) is None
    while database.clock().timestamp() <= held_until:
        pass
    assert acquired(database, study, "w2").attempts == 2


def test_a_stale_holder_writes_nothing(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=1)
    stale = started(database, study, seconds=0)
    current = acquired(database, study, "w2")
    for write in (
        lambda: leases.record_epoch(database, stale, 0, {"loss": 1.0}, 1.0),
        lambda: leases.save_resume(database, stale, {"epoch": 0}),
        lambda: leases.release(database, stale, spend_attempt=True),
        lambda: leases.close(database, stale, result_of(stale)),
        lambda: leases.bind(database, stale, 999, 9),
        lambda: leases.start_trial(database, stale),
    ):
        with pytest.raises(LeaseLost) as lost:
            write()
        assert lost.value.lease_id == stale.id
    assert leases.renew(database, [stale], 60) == {stale.id}
    assert leases.trained(database, current.trial_id or 0).epochs == 0
    assert leases.counts(database, study.study_id) == LeaseCounts(open=0, held=1, closed=0)


def test_an_expired_lease_that_nobody_adopted_is_kept(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    lease = started(database, study, seconds=0)
    leases.record_epoch(database, lease, 0, {"loss": 1.0}, 1.0)
    assert leases.renew(database, [lease], 60) == frozenset()
    assert acquired(database, study, "w2").id != lease.id
    leases.close(database, lease, result_of(lease))


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
def test_a_holder_that_stands_still_in_a_transaction_is_adopted(
    database_url: str, database: Database, new_study: NewStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(budget=1)
    stale = started(database, study, seconds=0)
    monkeypatch.setattr("storage.engines.TRANSACTION_SECONDS", 1)
    frozen = connect(database_url)
    with pytest.raises(DatabaseUnavailable), frozen.writing() as session:
        fenced(session, stale)
        adopted = None
        while adopted is None:
            adopted = leases.acquire(database, study.study_id, "w2", 60)
        session.get(LeaseRow, stale.id, populate_existing=True)
    assert adopted.trial_id == stale.trial_id
    frozen.close()


def test_renewing_names_the_lost_ones_among_several(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3)
    lost = acquired(database, study, seconds=0)
    adopted = acquired(database, study, "w2")
    kept = acquired(database, study)
    assert adopted.id == lost.id
    assert leases.renew(database, [lost, kept], 60) == {lost.id}
    assert leases.renew(database, [], 60) == frozenset()


def test_release_keeps_the_trial_and_may_give_the_attempt_back(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    lease = started(database, study)
    leases.save_resume(database, lease, {"epoch": 1})
    leases.release(database, lease, spend_attempt=False)
    leases.release(database, lease, spend_attempt=False)
    again = acquired(database, study, "w2")
    assert (again.trial_id, again.attempts, again.resume) == (lease.trial_id, 1, {"epoch": 1})
    leases.release(database, again, spend_attempt=True)
    assert acquired(database, study).attempts == 2


def test_a_released_lease_is_not_written_to(database: Database, new_study: NewStudy) -> None:
    lease = started(database, new_study())
    leases.release(database, lease, spend_attempt=True)
    with pytest.raises(LeaseLost):
        leases.record_epoch(database, lease, 0, {}, 1.0)
    with pytest.raises(LeaseLost):
        leases.close(database, lease, result_of(lease))
    assert leases.renew(database, [lease], 60) == {lease.id}


def test_start_trial_makes_one_optuna_trial(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    lease = started(database, study)
    assert leases.start_trial(database, lease) == lease
    trials = optuna.load_study(study_name=study.name, storage=database.optuna).trials
    assert [(each.number, each.state) for each in trials] == [(0, TrialState.RUNNING)]
    assert trials[0]._trial_id == lease.trial_id
    assert trials[0].system_attrs == {leases.LEASE_ATTRIBUTE: lease.ordinal}
    assert started(database, study).number == 1


def test_a_started_trial_can_be_sampled_and_told(database: Database, new_study: NewStudy) -> None:
    new = new_study()
    lease = started(database, new)
    assert lease.trial_id is not None and lease.number is not None
    study = optuna.load_study(study_name=new.name, storage=database.optuna)
    study.get_trials(deepcopy=False)
    trial = optuna.trial.Trial(study, lease.trial_id)
    x = trial.suggest_float("x", 0, 1)
    study.tell(lease.number, 0.5)
    assert study.best_trial.params == {"x": x}


def test_the_trial_of_a_lease_is_found_by_its_mark(database: Database, new_study: NewStudy) -> None:
    study, other = new_study("one", budget=12), new_study("other", budget=12)
    for _ in range(11):
        lease = started(database, study)
    assert (lease.ordinal, lease.number) == (10, 10)
    assert leases.find_trial_of_lease(database, study.study_id, 10) == (lease.trial_id, 10)
    found = leases.find_trial_of_lease(database, study.study_id, 1)
    assert found is not None and found[1] == 1
    assert leases.find_trial_of_lease(database, study.study_id, 11) is None
    assert leases.find_trial_of_lease(database, other.study_id, 1) is None


def test_a_trial_has_one_lease_and_a_lease_one_trial(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    first, second = acquired(database, study), acquired(database, study)
    bound = leases.bind(database, first, 70, 0)
    assert (bound.trial_id, bound.number) == (70, 0)
    assert leases.bind(database, first, 70, 0) == bound
    with pytest.raises(TrialTaken):
        leases.bind(database, second, 70, 0)
    with pytest.raises(TrialTaken):
        leases.bind(database, first, 71, 1)


def test_epochs_are_replaced_not_repeated_and_keep_what_is_not_finite(database: Database, new_study: NewStudy) -> None:
    lease = started(database, new_study())
    assert lease.trial_id is not None
    leases.record_epoch(database, lease, 0, {"loss": 3.0}, 1.0)
    leases.record_epoch(database, lease, 0, {"loss": math.inf, "accuracy": -math.inf}, 2.0)
    leases.record_epoch(database, lease, 1, {"loss": math.nan, "accuracy": 0.1}, 0.5)
    assert leases.trained(database, lease.trial_id) == leases.trained(database, lease.trial_id)
    assert leases.trained(database, lease.trial_id).epochs == 2
    assert leases.trained(database, lease.trial_id).seconds == 2.5
    with database.reading() as session:
        first, second = (session.get_one(EpochRow, (lease.trial_id, epoch)) for epoch in (0, 1))
    assert first.metrics == {"loss": math.inf, "accuracy": -math.inf}
    assert math.isnan(second.metrics["loss"]) and second.metrics["accuracy"] == 0.1
    assert abs((database.clock() - second.at).total_seconds()) < 30


def test_closing_counts_once(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    lease = started(database, study)
    result = result_of(lease, value=0.5, traceback="é" * 100_000, metrics={"loss": math.nan})
    leases.close(database, lease, result)
    leases.close(database, lease, result)
    assert leases.counts(database, study.study_id) == LeaseCounts(open=1, held=0, closed=1)
    assert not leases.counts(database, study.study_id).all_closed
    with pytest.raises(LeaseLost):
        leases.release(database, lease, spend_attempt=True)
    assert leases.recent_failures(database, study.study_id, 9) == [("complete", None)]


def test_closing_needs_the_lease_own_trial(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    lease = acquired(database, study)
    with pytest.raises(ValueError, match="no trial yet"):
        leases.close(database, lease, TrialResult(trial_id=1, number=0, outcome="complete"))
    lease = leases.start_trial(database, lease)
    with pytest.raises(ValueError, match="not 12345"):
        leases.close(database, lease, TrialResult(trial_id=12345, number=0, outcome="complete"))
    assert leases.counts(database, study.study_id).closed == 0


def test_recent_failures_and_successes(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=4)
    for outcome, cause in (("failed", "a"), ("failed", "b"), ("diverged", None)):
        lease = started(database, study)
        leases.close(database, lease, result_of(lease, outcome, cause=cause))
    assert leases.recent_failures(database, study.study_id, 2) == [("diverged", None), ("failed", "b")]
    assert not leases.any_success(database, study.study_id)
    lease = started(database, study)
    leases.close(database, lease, result_of(lease, "pruned"))
    assert leases.any_success(database, study.study_id)


def test_results_that_optuna_was_not_told_are_found(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    told, untold = started(database, study), started(database, study)
    results = [result_of(told, value=0.1), result_of(untold, value=0.2, metrics={"a": 1.0})]
    for lease, result in zip((told, untold), results, strict=True):
        leases.close(database, lease, result)
    database.optuna.set_trial_state_values(told.trial_id or 0, TrialState.COMPLETE, [0.1])
    assert leases.untold(database, study.study_id) == [results[1]]


def test_kept_checkpoints_come_best_first(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=4)
    for value in (0.5, None, 0.9, 0.5):
        lease = started(database, study)
        leases.close(database, lease, result_of(lease, value=value, checkpoint="best.keras", checkpoint_size=1))
    assert leases.checkpoints(database, study.study_id, [{"metric": "val_score", "direction": "maximize"}]) == [
        2,
        0,
        3,
        1,
    ]
    assert leases.checkpoints(database, study.study_id, [{"metric": "val_score", "direction": "minimize"}]) == [
        0,
        3,
        2,
        1,
    ]
    assert leases.better_kept(database, study.study_id, 0.5, maximize=True) == 1
    assert leases.better_kept(database, study.study_id, 0.6, maximize=False) == 2
    leases.forget_checkpoint(database, study.study_id, 0)
    assert leases.better_kept(database, study.study_id, 0.6, maximize=False) == 1
    forgotten = leaderboard.trial(database, study.name, 0)
    assert (forgotten.checkpoint, forgotten.checkpoint_size, forgotten.checkpoint_sha256) == (None, None, None)
    assert leases.checkpoints(database, study.study_id, [{"metric": "val_score", "direction": "minimize"}]) == [3, 2, 1]


def _work_until_nothing_is_left(index: int, url: str, study_id: int) -> list[tuple[int, int]]:
    database, done = connect(url), []
    while (lease := leases.acquire(database, study_id, f"w{index}", 60)) is not None:
        lease = leases.start_trial(database, lease)
        assert lease.number is not None
        leases.close(database, lease, result_of(lease))
        done.append((lease.ordinal, lease.number))
    database.close()
    return done


def test_eight_processes_spend_the_budget_exactly(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = new_study(budget=40)
    done = [pair for each in race(8, _work_until_nothing_is_left, database_url, study.study_id) for pair in each]
    assert sorted(ordinal for ordinal, _ in done) == list(range(40))
    assert sorted(number for _, number in done) == list(range(40))
    assert leases.counts(database, study.study_id) == LeaseCounts(open=0, held=0, closed=40)
    assert len(database.optuna.get_all_trials(study.study_id)) == 40


def _acquire_one(index: int, url: str, study_id: int) -> tuple[int, int] | None:
    database = connect(url)
    lease = leases.acquire(database, study_id, f"w{index}", 60)
    database.close()
    return None if lease is None else (lease.id, lease.token)


def test_an_expired_lease_is_adopted_by_one(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = new_study(budget=1)
    dead = started(database, study, seconds=0)
    got = [each for each in race(6, _acquire_one, database_url, study.study_id) if each is not None]
    assert got == [(dead.id, 2)]


def _raise_budget(index: int, url: str, study_id: int) -> int:
    database = connect(url)
    added = studies.raise_budget(database, study_id, 20)
    database.close()
    return added


def test_a_budget_raised_by_several_is_exact(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = new_study(budget=5)
    assert sum(race(4, _raise_budget, database_url, study.study_id)) == 15
    assert leases.counts(database, study.study_id).open == 20
    assert studies.load_study(database, study.name).budget == 20
    assert [acquired(database, study).ordinal for _ in range(20)] == list(range(20))


def _die_before_the_commit(url: str, write: str, lease: Lease) -> None:
    database = connect(url)
    event.listen(Session, "before_commit", lambda session: os.kill(os.getpid(), signal.SIGKILL))
    if write == "start_trial":
        leases.start_trial(database, lease)
    else:
        leases.close(database, lease, result_of(lease))


@pytest.mark.parametrize("write", ["start_trial", "close"])
def test_a_worker_killed_inside_a_transaction_leaves_nothing_half(
    database: Database, database_url: str, new_study: NewStudy, write: str
) -> None:
    study = new_study(budget=1)
    lease = acquired(database, study, seconds=0)
    if write == "close":
        lease = leases.start_trial(database, lease)
    dying = get_context("fork").Process(target=_die_before_the_commit, args=(database_url, write, lease))
    dying.start()
    dying.join()
    assert dying.exitcode == -signal.SIGKILL
    adopted = leases.start_trial(database, acquired(database, study, "w2"))
    leases.close(database, adopted, result_of(adopted))
    assert [each.number for each in database.optuna.get_all_trials(study.study_id)] == [0]
    assert leases.recent_failures(database, study.study_id, 9) == [("complete", None)]
    assert leases.counts(database, study.study_id).all_closed


def test_epochs_count_up_to_the_first_gap(database: Database, new_study: NewStudy) -> None:
    lease = started(database, new_study(budget=1))
    assert leases.stored_epochs(database, lease.trial_id or 0) == 0
    for epoch, before_the_gap in ((1, 1), (2, 2), (4, 2), (5, 2), (3, 5)):
        leases.record_epoch(database, lease, epoch, {"loss": 1.0}, 1.0)
        assert leases.stored_epochs(database, lease.trial_id or 0) == before_the_gap
