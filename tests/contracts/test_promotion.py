"""Trials that are paused and promoted, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import exists, select

from storage import champions, leaderboard, leases, progress, studies
from storage.connecting import connect
from storage.database import Database
from storage.deletion import delete_study
from storage.errors import LeaseLost
from storage.leases import Lease, LeaseCounts, TrialResult
from storage.promotion.counts import RungCount
from storage.promotion.rows import any_paused, arrive, end_paused, pause
from storage.promotion.rule import RungRule
from storage.studies import StudyRecord
from storage.tables import Base

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]
RULE = RungRule((1,), 4)


def begin(database: Database, study: StudyRecord) -> Lease:
    lease = leases.acquire(database, study.study_id, "w1", 60, RULE)
    assert lease is not None
    return leases.start_trial(database, lease)


def lay_aside(database: Database, lease: Lease, loss: float) -> bool:
    """Whether the trial went on instead."""
    if arrive(database, lease, RULE, 1, None, [loss]):
        return True
    assert lease.trial_id is not None and lease.number is not None
    pause(database, lease, TrialResult(lease.trial_id, lease.number, "pruned", value=-loss, best_epoch=1))
    return False


@pytest.fixture
def halted(database: Database, new_study: NewStudy) -> StudyRecord:
    """Sixteen trials at the rung, of which four may go on; eight have not begun."""
    study = new_study(budget=24)
    begun = [begin(database, study) for _ in range(16)]
    for place, lease in enumerate(begun):
        arrive(database, lease, RUNG_LATER, 1, None, [float(place)])
    for place, lease in enumerate(begun):
        assert lease.trial_id is not None and lease.number is not None
        pause(database, lease, TrialResult(lease.trial_id, lease.number, "pruned", value=-float(place), best_epoch=1))
    return study


# Nobody passes at once, so that all can be promoted later.
RUNG_LATER = RungRule((1,), 100)


def test_a_paused_trial_is_held_by_nobody_and_spends_no_attempt(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3)
    lease = begin(database, study)
    leases.save_resume(database, lease, {"run": 1, "before": ["r1"]})
    assert not lay_aside(database, lease, 0.5)
    pause(database, lease, TrialResult(lease.trial_id or 0, 0, "pruned"))
    assert leases.counts(database, study.study_id) == LeaseCounts(open=2, held=0, closed=0, paused=1)
    assert any_paused(database, study.study_id) and leases.any_success(database, study.study_id)
    assert [each.state for each in leaderboard.trials(database, study.name)] == ["paused"]
    assert not studies.finish_if_done(database, study.study_id)
    for late in (
        lambda: leases.record_epoch(database, lease, 2, {}, 1.0),
        lambda: leases.close(database, lease, TrialResult(lease.trial_id or 0, 0, "complete")),
        lambda: leases.release(database, lease, spend_attempt=False),
        lambda: arrive(database, lease, RULE, 1, None, [0.1]),
    ):
        with pytest.raises(LeaseLost):
            late()

    others = [begin(database, study) for _ in range(2)]
    assert [lay_aside(database, other, 0.1 + place) for place, other in enumerate(others)] == [False, False]
    promoted = leases.acquire(database, study.study_id, "w2", 60, RULE)
    assert promoted is not None and promoted.number == others[0].number


def test_nothing_of_a_deleted_study_stays(database: Database, halted: StudyRecord, new_study: NewStudy) -> None:
    other = new_study("other")
    for study in (halted, other):
        champions.register(database, study.study_id, 0, path="/out", value=0.5, verification={})
    leases.record_epoch(database, begin(database, halted), 1, {"val_loss": 1.0}, 1.0)
    kept = [each for each in Base.metadata.sorted_tables if "study_id" in each.columns]

    def filled(study_id: int) -> set[str]:
        with database.reading() as session:
            held = {each.name: select(exists().where(each.c.study_id == study_id)) for each in kept}
            return {name for name, asked in held.items() if session.scalar(asked)}

    before = filled(other.study_id)
    assert filled(halted.study_id) >= {"tuner_rungs", "tuner_epochs", "tuner_leases", "tuner_champions"}
    delete_study(database, halted.name)
    assert (filled(halted.study_id), filled(other.study_id)) == (set(), before)


def test_a_trial_that_was_promoted_has_all_it_had(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    lease = begin(database, study)
    leases.save_resume(database, lease, {"run": 1, "before": ["r1"]})
    assert not lay_aside(database, lease, 0.5)
    other = begin(database, study)
    assert other.ordinal == 1 and not lay_aside(database, other, 0.6)
    promoted = leases.acquire(database, study.study_id, "w2", 60, RULE)
    assert promoted is not None and promoted.promoted
    assert (promoted.token, promoted.attempts, promoted.resume) == (2, 1, {"run": 1, "before": ["r1"]})
    assert arrive(database, promoted, RULE, 1, None, [0.5]), "what was said of it is said again"
    ended = end_paused(database, study.study_id, RULE)
    assert [(each.number, each.outcome, each.value) for each in ended] == [(1, "pruned", -0.6)]
    assert [each.number for each in leases.untold(database, study.study_id)] == [1]
    assert end_paused(database, study.study_id, RULE) == []
    status = progress.status(database, study.name)
    assert status.rungs == [RungCount(epoch=1, trials=2, passed=0, promoted=1, paused=0)]
    assert (status.pruned, status.running, status.paused, status.open, status.budget) == (1, 1, 0, 0, 2)


def _promote(index: int, url: str, study_id: int) -> list[tuple[int | None, int]]:
    database = connect(url)
    found = []
    while (lease := leases.acquire(database, study_id, f"w{index}", 60, RULE)) is not None:
        if not lease.promoted:
            break
        found.append((lease.number, lease.token))
    database.close()
    return found


def test_workers_that_race_promote_each_of_the_best_once(
    database: Database, database_url: str, halted: StudyRecord, race: Race
) -> None:
    got = [each for found in race(4, _promote, database_url, halted.study_id) for each in found]
    assert sorted(got) == [(0, 2), (1, 2), (2, 2), (3, 2)]


def _promote_or_end(index: int, url: str, study_id: int) -> list[int]:
    database = connect(url)
    found = []
    for _ in range(3):
        if index % 2:
            found += [-1 - each.number for each in end_paused(database, study_id, None)]
        elif (lease := leases.acquire(database, study_id, "w", 60, RULE)) is not None and lease.number is not None:
            found.append(lease.number)
    database.close()
    return found


def test_a_trial_is_promoted_or_ended_never_both(
    database: Database, database_url: str, halted: StudyRecord, race: Race
) -> None:
    got = [each for found in race(4, _promote_or_end, database_url, halted.study_id) for each in found]
    trials = [each if each >= 0 else -1 - each for each in got]
    assert sorted(trials) == list(range(16))
    counts = leases.counts(database, halted.study_id)
    assert counts.paused == 0
    assert counts.closed == sum(1 for each in got if each < 0)


def test_trials_that_have_not_begun_are_withdrawn_unless_asked_for(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=9, presets=[{"units": units} for units in (4, 8, 16, 32)])
    left = begin(database, study)
    for loss in (0.1, 0.2):
        lay_aside(database, begin(database, study), loss)
    leases.release(database, left, spend_attempt=False)
    assert studies.withdraw_unbegun(database, study.study_id) == 5
    assert leases.counts(database, study.study_id) == LeaseCounts(open=2, held=0, closed=0, paused=2)
    assert studies.withdraw_unbegun(database, study.study_id) == 0
    assert studies.raise_budget(database, study.study_id, 11) == 7, "whoever asks for more gets them"


def test_who_adopts_a_trial_in_the_middle_of_its_pause_pauses_it(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=5)
    first = leases.start_trial(database, acquire(database, study, seconds=0))
    # Its worker dies between what it was told and what it stores.
    assert not arrive(database, first, RULE, 1, None, [0.5])
    adopted = acquire(database, study)
    assert (adopted.number, adopted.promoted) == (first.number, False)
    with pytest.raises(LeaseLost):
        pause(database, first, TrialResult(first.trial_id or 0, 0, "pruned"))
    assert not lay_aside(database, adopted, 0.5)
    assert leases.counts(database, study.study_id).paused == 1


def test_who_adopts_a_trial_in_the_middle_of_its_promotion_goes_on_with_it(
    database: Database, new_study: NewStudy
) -> None:
    study = new_study(budget=2)
    for loss in (0.5, 0.6):
        lay_aside(database, begin(database, study), loss)
    # Its worker dies before it has started a process.
    promoted = acquire(database, study, seconds=0)
    assert promoted.promoted
    adopted = acquire(database, study)
    assert (adopted.number, adopted.token, adopted.promoted) == (promoted.number, promoted.token + 1, False)
    assert arrive(database, adopted, RULE, 1, None, [0.5])


def acquire(database: Database, study: StudyRecord, seconds: float = 60) -> Lease:
    lease = leases.acquire(database, study.study_id, "w", seconds, RULE)
    assert lease is not None
    return lease
