"""Pools choose their studies on every kind of database as if one chose after the other."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from storage import leases, pool, standing, studies, workers
from storage.connecting import connect
from storage.pool import PoolMember, PoolView, Served
from storage.tables import LeaseRow


def member(name: str, pid: int = 1) -> PoolMember:
    return PoolMember(name, "node", pid, "1.0")


def emptiest(view: PoolView) -> Served | None:
    return min((each for each in view.studies if each.room), key=lambda each: each.slots, default=None)


def named(view: PoolView, name: str) -> Served:
    return next(each for each in view.studies if each.name == name)


def announce_emptiest(index: int, url: str) -> Served | None:
    database = connect(url)
    try:
        return pool.announce(database, member(f"pool-{index}"), 1, 1, emptiest)
    finally:
        database.close()


def test_pools_that_choose_at_once_spread_evenly(database, database_url, new_study, race):
    for name in ("a", "b", "c"):
        new_study(name, budget=9)
    chosen = race(6, announce_emptiest, database_url)
    assert Counter(each.name for each in chosen) == {"a": 2, "b": 2, "c": 2}
    assert {each.slots for each in pool.look(database).studies} == {2}


def test_a_worker_that_leaves_counts_where_it_goes(database, new_study):
    first, second = new_study("first", budget=4), new_study("second", budget=4)
    pool.announce(database, member("p"), 1, 2, lambda view: named(view, "first"))
    workers.register(
        database, "p.1", first.study_id, host="node", pid=7, slots=3, gpus=[], version="1", versions={"python": "3"}
    )
    leases.acquire(database, first.study_id, "p.1", 60)
    view = pool.look(database, "p.1")
    assert view.own == pool.OwnWorker("p.1", first.study_id, slots=3, held=1, registered=True)
    assert (named(view, "first").slots, named(view, "first").waiting, named(view, "first").room) == (3, 3, 1)

    assert pool.announce(database, member("p"), 2, 3, lambda view: named(view, "second"), "p.1").name == "second"
    view = pool.look(database, "p.1")
    assert {each.name: each.slots for each in view.studies} == {"first": 0, "second": 3}
    pool.withdraw(database, member("p"), 1)
    # What never came is forgotten, what came is remembered.
    pool.withdraw(database, member("p"), 2)
    assert [each.state for each in workers.list_workers(database, first.study_id)] == ["left"]
    assert workers.list_workers(database, second.study_id) == []
    assert named(pool.look(database), "first").since > first.created_at


def test_those_that_stand_by_say_what_they_work_on(database, new_study):
    first = new_study("first", budget=4)
    for name, studies_served in (("busy", "*"), ("idle", "f*"), ("other", "x*"), ("gone", "*")):
        standing.note(database, member(name), studies_served)
    standing.leave(database, member("gone"))
    pool.announce(database, member("busy"), 1, 1, lambda view: named(view, "first"))
    workers.register(database, "alone", first.study_id, host="node", pid=9, slots=1, gpus=[], version="1")
    pools = {each.name: each for each in standing.standing_pools(database)}
    assert {name: each.study for name, each in pools.items()} == {"busy": "first", "idle": None, "other": None}
    assert {name: each.serves("first") for name, each in pools.items()} == {"busy": True, "idle": True, "other": False}
    pool.withdraw(database, member("busy"), 1)
    assert [each.study for each in standing.standing_pools(database)] == [None, None, None]


def test_announcing_again_moves_the_announcement(database, new_study):
    new_study("first"), new_study("second")
    for name in ("first", "second", "second"):
        pool.announce(database, member("p"), 1, 1, lambda view, name=name: named(view, name))
    assert {each.name: each.slots for each in pool.look(database).studies} == {"first": 0, "second": 1}
    assert pool.announce(database, member("p"), 1, 1, lambda view: None) is None
    assert {each.slots for each in pool.look(database).studies} == {0}


def test_only_studies_that_run_and_have_time_are_seen(database, new_study):
    new_study("late", timeout=0.0)
    stopped, ended = new_study("stopped"), new_study("ended", budget=1)
    studies.set_state(database, stopped.study_id, "stopped")
    leases.acquire(database, ended.study_id, "w", 60)
    new_study("urgent", spec={"priority": 7})
    seen = {each.name: (each.priority, each.room) for each in pool.look(database).studies}
    assert seen == {"ended": (0, 0), "urgent": (7, 3)}


def test_a_study_that_only_has_to_be_ended_is_not_left_over(database, new_study):
    study = new_study(budget=1)
    with database.writing() as session:
        session.scalars(select(LeaseRow).where(LeaseRow.study_id == study.study_id)).one().state = "closed"
    assert named(pool.look(database), study.name).room == 1
    pool.announce(database, member("p"), 1, 1, emptiest)
    assert named(pool.look(database), study.name).room == 0
