"""Launches in every kind of database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storage import launches
from storage.database import Database
from storage.errors import Conflict
from storage.studies import StudyRecord

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]


def test_a_launch_comes_back_as_it_was_kept(database: Database, new_study: NewStudy) -> None:
    study, other = new_study("one"), new_study("other")
    first = launches.begin(database, study.study_id, "local")
    assert (first.number, first.engine, first.handle, first.stopped_at) == (1, "local", None, None)
    launches.note(database, first, wanted={"count": 2}, handle={"workers": [{"pid": 7}]})
    second = launches.begin(database, study.study_id, "ray")
    assert launches.begin(database, other.study_id, "ray").number == 1
    kept = launches.list_launches(database, study.study_id)
    assert [each.number for each in kept] == [1, 2]
    assert (kept[0].wanted, kept[0].handle) == ({"count": 2}, {"workers": [{"pid": 7}]})
    assert kept[0].started_at <= kept[1].started_at and kept[0].started_at.tzinfo is not None
    assert kept[1] == second


def test_a_launch_is_stopped_once(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    launch = launches.begin(database, study.study_id, "local")
    launches.note(database, launch, wanted={}, handle={"told": False})
    launches.stopped(database, launch, handle={"told": True})
    (first,) = launches.list_launches(database, study.study_id)
    launches.stopped(database, launch)
    (second,) = launches.list_launches(database, study.study_id)
    assert first.stopped_at is not None and first == second
    assert second.handle == {"told": True}


def test_a_launch_that_its_engine_refused_leaves_no_trace(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    launch = launches.begin(database, study.study_id, "local")
    launches.forget(database, launch)
    launches.forget(database, launch)
    assert launches.list_launches(database, study.study_id) == []
    assert launches.begin(database, study.study_id, "local").number == 1


def test_launches_at_once_have_numbers_of_their_own(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = new_study()
    numbers = race(4, _begin, database_url, study.study_id)
    got = [number for number in numbers if number is not None]
    assert got and len(set(got)) == len(got)
    assert sorted(each.number for each in launches.list_launches(database, study.study_id)) == sorted(got)


def _begin(index: int, url: str, study_id: int) -> int | None:
    from storage.connecting import connect

    database = connect(url)
    try:
        return launches.begin(database, study_id, "local").number
    except Conflict:
        return None
    finally:
        database.close()
