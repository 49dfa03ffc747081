"""What trials are told to try, on every kind of database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from storage import leases, presets
from storage.connecting import connect
from storage.database import Database
from storage.errors import NothingLeft, UnknownStudy
from storage.studies import StudyRecord

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]


def acquired(database: Database, study: StudyRecord) -> dict[str, Any]:
    lease = leases.acquire(database, study.study_id, "w", 60)
    assert lease is not None
    leases.start_trial(database, lease)
    return lease.preset


def test_what_is_enqueued_is_tried_next_in_order(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=6, presets=[{"x": 0}])
    assert presets.enqueue(database, study.name, {"x": 1}) == [1]
    assert [acquired(database, study) for _ in range(3)] == [{"x": 0}, {"x": 1}, {}]
    assert presets.enqueue(database, study.name, {"x": 2, "y": "a"}) == [0]
    assert presets.enqueue(database, study.name, {"x": 3}) == [1]
    assert [acquired(database, study) for _ in range(3)] == [{"x": 2, "y": "a"}, {"x": 3}, {}]


def test_several_are_enqueued_in_order_or_none_of_them(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=3)
    with pytest.raises(NothingLeft):
        presets.enqueue(database, study.name, *({"x": number} for number in range(4)))
    assert presets.enqueue(database, study.name, {"x": 1}, {"x": 2}) == [0, 1]
    assert [acquired(database, study) for _ in range(3)] == [{"x": 1}, {"x": 2}, {}]


def test_a_trial_that_waits_to_go_on_comes_first_and_is_told_nothing(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    lease = leases.acquire(database, study.study_id, "w", 60)
    assert lease is not None
    begun = leases.start_trial(database, lease)
    leases.release(database, begun, spend_attempt=False)
    presets.enqueue(database, study.name, {"x": 1})
    assert [acquired(database, study) for _ in range(2)] == [{}, {"x": 1}]


def test_none_is_left(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2)
    acquired(database, study)
    presets.enqueue(database, study.name, {"x": 1})
    with pytest.raises(NothingLeft, match=r"all 2 have begun or .*; give it more trials first .*--trials 3"):
        presets.enqueue(database, study.name, {"x": 2})
    assert acquired(database, study) == {"x": 1}
    with pytest.raises(UnknownStudy):
        presets.enqueue(database, "nope", {"x": 1})
    with pytest.raises(ValueError, match="without values"):
        presets.enqueue(database, study.name, {})


def _enqueue_or_work(index: int, url: str, study_id: int, name: str) -> tuple[list[int], list[dict[str, Any]]]:
    """Three processes enqueue 12 each, the others acquire until the budget is spent."""
    database, given, taken = connect(url), [], []
    if index < 3:
        for number in range(index * 12, index * 12 + 12):
            try:
                presets.enqueue(database, name, {"x": number})
                given.append(number)
            except NothingLeft:
                break
    else:
        while (lease := leases.acquire(database, study_id, f"w{index}", 600)) is not None:
            taken.append(leases.start_trial(database, lease).preset)
    database.close()
    return given, taken


def test_enqueuing_at_once_while_workers_acquire_loses_and_repeats_nothing(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = new_study(budget=40)
    # Workers may be so quick that the others find nothing left.
    presets.enqueue(database, study.name, {"x": -1})
    done = race(6, _enqueue_or_work, database_url, study.study_id, study.name)
    given = [-1, *(number for numbers, _ in done for number in numbers)]
    taken = [preset for _, presets in done for preset in presets]
    while (lease := leases.acquire(database, study.study_id, "last", 600)) is not None:
        taken.append(lease.preset)
    assert Counter(preset["x"] for preset in taken if preset) == Counter(given)
    assert len(taken) == 40
