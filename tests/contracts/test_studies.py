"""What studies, workers and champions promise, on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import optuna
import pytest
from sqlalchemy import insert, select

from storage import champions, leases, presets, studies, workers
from storage.connecting import connect
from storage.database import Database
from storage.errors import StudyExists, UnknownStudy
from storage.studies import StudyRecord
from storage.tables import LeaseRow, StudyRow

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]


def test_a_study_comes_back_as_it_was_created(database: Database, new_study: NewStudy) -> None:
    space = {"low": -math.inf, "name": "nan", "tilde": "~inf", "list": [math.nan, None, True, 1]}
    created = new_study(budget=2, timeout=60, space=space)
    loaded = studies.load_study(database, "digits")
    assert math.isnan(loaded.space["list"].pop(0))
    assert math.isnan(created.space["list"].pop(0))
    assert loaded == created
    assert loaded.space == {"low": -math.inf, "name": "nan", "tilde": "~inf", "list": [None, True, 1]}
    assert (loaded.state, loaded.reason, loaded.budget) == ("running", None, 2)
    assert loaded.deadline is not None
    assert loaded.deadline - loaded.created_at == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=1))
    assert abs(database.clock() - loaded.created_at) < timedelta(seconds=30)


def test_a_name_is_taken_once(database: Database, new_study: NewStudy) -> None:
    new_study()
    with pytest.raises(StudyExists, match="'digits' already exists"):
        new_study()


def test_an_optuna_study_without_record_is_completed(database: Database, new_study: NewStudy) -> None:
    optuna.create_study(study_name="digits", storage=database.optuna, direction="maximize")
    assert new_study(budget=2).budget == 2
    assert leases.counts(database, studies.load_study(database, "digits").study_id).open == 2


def test_a_foreign_optuna_study_is_not_taken_over(database: Database, new_study: NewStudy) -> None:
    used = optuna.create_study(study_name="used", storage=database.optuna, direction="maximize")
    used.add_trial(optuna.trial.create_trial(value=1.0))
    optuna.create_study(study_name="other", storage=database.optuna, direction="minimize")
    for name in ("used", "other"):
        with pytest.raises(StudyExists, match=f"'{name}' already exists .*(Optuna|directions)"):
            new_study(name)
        with pytest.raises(UnknownStudy):
            studies.load_study(database, name)


def test_an_unknown_study_is_answered_with_near_ones(database: Database, new_study: NewStudy) -> None:
    for name in ("digits", "digits-2", "imdb"):
        new_study(name)
    with pytest.raises(UnknownStudy) as unknown:
        studies.load_study(database, "digit")
    assert sorted(unknown.value.known) == ["digits", "digits-2", "imdb"]
    assert str(unknown.value) == "no study 'digit'; there is 'digits', 'digits-2'"
    with pytest.raises(UnknownStudy):
        studies.load_study(database, "DIGITS")


def test_more_presets_than_budget_are_refused(new_study: NewStudy) -> None:
    with pytest.raises(ValueError, match="2 presets"):
        new_study(budget=1, presets=[{"a": 1}, {"a": 2}])


def test_studies_are_listed_newest_first(database: Database, new_study: NewStudy) -> None:
    for name in ("a", "b"):
        new_study(name)
    assert [each.name for each in studies.list_studies(database)] == ["b", "a"]


def test_states_are_compared_and_set(database: Database, new_study: NewStudy) -> None:
    study_id = new_study().study_id
    assert studies.set_state(database, study_id, "failed", "a bug", only_from=("running",))
    assert not studies.set_state(database, study_id, "finished", only_from=("running", "stopping"))
    record = studies.load_study(database, "digits")
    assert (record.state, record.reason) == ("failed", "a bug")
    assert studies.set_state(database, study_id, "running")
    assert studies.load_study(database, "digits").reason is None


def test_stopping_waits_for_held_leases(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    lease = leases.acquire(database, study.study_id, "w", 60)
    assert lease is not None
    assert studies.request_stop(database, "digits") == "stopping"
    assert not studies.settle_stopping(database, study.study_id)
    leases.release(database, lease, spend_attempt=False)
    assert studies.settle_stopping(database, study.study_id)
    assert studies.request_stop(database, "digits") == "stopped"


def test_a_study_is_reopened_while_budget_is_left(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=1, timeout=0)
    assert study.deadline is not None and study.deadline <= database.clock()
    studies.set_state(database, study.study_id, "finished", "the timeout has passed")
    assert studies.take_up(database, study.study_id, timeout=60)
    reopened = studies.load_study(database, "digits")
    assert reopened.deadline is not None and reopened.deadline > database.clock()
    assert reopened.state == "running"
    lease = leases.acquire(database, study.study_id, "w", 60)
    assert lease is not None
    lease = leases.start_trial(database, lease)
    assert lease.trial_id is not None
    assert not studies.finish_if_done(database, study.study_id)
    leases.close(database, lease, leases.TrialResult(trial_id=lease.trial_id, number=0, outcome="complete"))
    assert studies.finish_if_done(database, study.study_id)
    assert not studies.take_up(database, study.study_id, timeout=None)
    assert studies.load_study(database, "digits").state == "finished"
    assert studies.raise_budget(database, study.study_id, 2) == 1
    assert studies.take_up(database, study.study_id, timeout=None)
    assert studies.load_study(database, "digits").deadline is None


def test_a_study_does_not_finish_while_its_budget_is_raised(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=1)
    lease = leases.acquire(database, study.study_id, "w", 60)
    assert lease is not None
    lease = leases.start_trial(database, lease)
    assert lease.trial_id is not None
    leases.close(database, lease, leases.TrialResult(trial_id=lease.trial_id, number=0, outcome="complete"))
    with ThreadPoolExecutor() as threads:
        with database.writing() as session:
            ours = StudyRow.study_id == study.study_id
            session.scalars(select(StudyRow).where(ours).with_for_update()).one()
            ended = threads.submit(studies.finish_if_done, database, study.study_id)
            open_lease = {"ordinal": 1, "state": "open", "rank": 2, "token": 0, "attempts": 0}
            session.execute(insert(LeaseRow).values(study_id=study.study_id, **open_lease))
        assert not ended.result()
    assert studies.load_study(database, "digits").state == "running"


def test_a_budget_is_not_lowered(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3)
    assert studies.raise_budget(database, study.study_id, 2) == 0
    assert studies.load_study(database, "digits").budget == 3


def test_a_study_is_taken_up_with_its_new_spec_and_put_back_as_it_was(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=1)
    studies.set_state(database, study.study_id, "stopped", "stop was requested")
    before, since = studies.load_study(database, "digits"), database.clock()
    assert studies.take_up(database, study.study_id, spec={"trials": 3}, budget=3, timeout=60)
    after = studies.load_study(database, "digits")
    assert (after.state, after.budget, after.spec) == ("running", 3, {"trials": 3})
    assert studies.restore(database, before, after, since)
    assert studies.load_study(database, "digits") == before
    assert leases.counts(database, study.study_id).open == 1


@pytest.mark.parametrize("what", ["a worker", "a trial", "a preset", "a change"])
def test_what_others_have_done_since_is_not_taken_back(what: str, database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=1)
    before, since = studies.load_study(database, "digits"), database.clock()
    studies.take_up(database, study.study_id, budget=2, timeout=None)
    after = studies.load_study(database, "digits")
    if what == "a worker":
        workers.register(database, "w", study.study_id, host="h", pid=1, slots=1, gpus=[], version="1")
    elif what == "a trial":
        assert leases.acquire(database, study.study_id, "w", 60) is not None
    elif what == "a preset":
        presets.enqueue(database, "digits", {"units": 1})
        presets.enqueue(database, "digits", {"units": 2})
    else:
        studies.raise_budget(database, study.study_id, 5)
    as_it_is = studies.load_study(database, "digits")
    assert not studies.restore(database, before, after, since)
    assert studies.load_study(database, "digits") == as_it_is


def test_the_files_of_a_study_are_written_once_the_name_is_its_own(database: Database, new_study: NewStudy) -> None:
    written: list[str] = []

    def fail() -> None:
        written.append("first")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        new_study(write_files=fail)
    assert studies.list_studies(database) == []
    study = new_study(write_files=lambda: written.append("second"))
    with pytest.raises(StudyExists):
        new_study(objectives=[{"metric": "val_loss", "direction": "maximize"}], write_files=lambda: written.append("x"))
    assert written == ["first", "second"]
    # A refusal does not touch what Optuna shows of the other study either.
    named = database.optuna.get_study_system_attrs(study.study_id)
    assert named[studies.METRIC_NAMES] == ["val_accuracy"]


def _create(index: int, url: str) -> bool:
    database = connect(url)
    try:
        studies.create_study(
            database,
            "digits",
            objectives=[{"metric": "val_loss", "direction": "minimize"}],
            spec={"creator": index},
            summary={},
            fingerprint="",
            artifacts="",
            budget=7,
            versions={},
            space=[],
        )
    except StudyExists:
        return False
    finally:
        database.close()
    return True


def test_of_racing_creators_one_wins(database: Database, database_url: str, race: Race) -> None:
    won = race(4, _create, database_url)
    assert sum(won) == 1
    record = studies.load_study(database, "digits")
    assert record.spec == {"creator": won.index(True)}
    assert leases.counts(database, record.study_id).open == 7


def test_workers_are_live_while_they_are_seen(database: Database, new_study: NewStudy) -> None:
    study_id = new_study().study_id
    for name in ("w1", "w2"):
        workers.register(database, name, study_id, host="node", pid=7, slots=2, gpus=["A100"], version="0.1.0")
    workers.leave(database, "w2")
    first, second = workers.list_workers(database, study_id)
    assert (first.id, first.host, first.pid, first.slots, first.gpus) == ("w1", "node", 7, 2, ["A100"])
    assert first.live and first.left_at is None and 0 <= first.seen_seconds < 30
    assert not second.live and second.left_at is not None
    assert (first.state, second.state) == ("live", "left")
    silent = workers.list_workers(database, study_id, live_seconds=-1)[0]
    assert (silent.live, silent.state) == (False, "lost")
    workers.seen(database, "w1")
    assert workers.list_workers(database, study_id)[0].seen_at > first.seen_at


def test_workers_have_the_trials_whose_leases_they_hold(database: Database, new_study: NewStudy) -> None:
    study_id = new_study(budget=4).study_id
    for name in ("w1", "w2"):
        workers.register(database, name, study_id, host="node", pid=7, slots=2, gpus=[], version="0.1.0")

    def acquire(worker: str, seconds: float) -> leases.Lease:
        lease = leases.acquire(database, study_id, worker, seconds)
        assert lease is not None
        return leases.start_trial(database, lease)

    kept, released = acquire("w1", 60), acquire("w1", 60)
    assert [worker.trials for worker in workers.list_workers(database, study_id)] == [[0, 1], []]
    leases.release(database, released, spend_attempt=False)
    acquire("w2", 0)
    assert [worker.trials for worker in workers.list_workers(database, study_id)] == [[kept.number], []]


def test_champions_are_numbered(database: Database, new_study: NewStudy) -> None:
    study_id = new_study().study_id
    for number, value in ((3, 0.9), (1, None)):
        champions.register(database, study_id, number, path=f"/out/{number}", value=value, verification={"exact": True})
    newest, first = champions.list_champions(database, study_id)
    assert (newest.version, newest.number, newest.value) == (2, 1, None)
    assert (first.version, first.number, first.value) == (1, 3, 0.9)
    assert first.verification == {"exact": True}
