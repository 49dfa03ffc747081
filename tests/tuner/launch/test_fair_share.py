"""Which study a pool's worker goes to, and when it leaves the one that it serves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage.pool import OwnWorker, PoolView, Served
from tuner.launch.backoff import Setbacks
from tuner.launch.fair_share import fairer, most_wanting

START = datetime(2026, 1, 1, tzinfo=UTC)


def served(study_id: int, slots: int = 0, room: int = 5, priority: int = 0, waited: float = 0.0) -> Served:
    since = START - timedelta(seconds=waited)
    return Served(study_id, f"s{study_id}", priority, slots, room, room, since)


def own(slots: int = 1, held: int = 1, registered: bool = True) -> OwnWorker:
    """A worker of study 1."""
    return OwnWorker("pool.1", 1, slots, held, registered)


@pytest.mark.parametrize(
    ("studies", "expected"),
    [
        ([], None),
        ([served(1, room=0)], None),
        ([served(1, slots=1), served(2)], 2),
        ([served(1, waited=10), served(2, waited=20)], 2),
        ([served(1), served(2, slots=7, priority=1)], 2),
        ([served(1), served(2, room=0, priority=1)], 1),
    ],
    ids=["nothing", "no room", "fewest slots", "waited longest", "priority first", "priority without room"],
)
def test_where_a_free_worker_goes(studies: list[Served], expected: int | None) -> None:
    chosen = most_wanting(studies)
    assert (chosen.study_id if chosen else None) == expected


@pytest.mark.parametrize(
    ("current", "other", "turn_is_over", "leaves"),
    [
        (served(1, slots=1), served(2), False, False),
        (served(1, slots=1), served(2), True, True),
        (served(1, slots=1), served(2, room=0), True, False),
        (served(1, slots=2), served(2), False, True),
        (served(1, slots=2), served(2, slots=1), True, False),
        (served(1, slots=3), served(2, slots=1), False, True),
        (served(1, slots=1), served(2, slots=4, priority=1), False, True),
        (served(1, slots=9), served(2, priority=-1), True, False),
        (served(1, slots=1, room=0), served(2, priority=-1), True, False),
    ],
)
def test_when_a_worker_leaves(current: Served, other: Served, turn_is_over: bool, leaves: bool) -> None:
    chosen = fairer(PoolView([current, other], own()), turn_is_over=turn_is_over)
    assert chosen == (other if leaves else None)


def test_a_worker_without_anything_to_do_leaves_for_any_study() -> None:
    view = PoolView([served(1, slots=1, room=0), served(2, priority=-1)], own(held=0))
    assert fairer(view, turn_is_over=False) == view.studies[1]
    preparing = PoolView(view.studies, own(held=0, registered=False))
    assert fairer(preparing, turn_is_over=False) is None


def test_workers_even_out_and_then_stay() -> None:
    """Whatever the slots of each: after as many moves as there are workers nobody wants to leave."""
    where = dict.fromkeys(range(6), 1)
    slots = {index: 1 + index % 3 for index in where}
    for _ in range(len(where) + 1):
        moved = 0
        for index in where:
            total = {study: sum(slots[i] for i in where if where[i] == study) for study in (1, 2, 3)}
            studies = [served(study, slots=total[study]) for study in total]
            worker = OwnWorker(str(index), where[index], slots[index], 1, True)
            target = fairer(PoolView(studies, worker), turn_is_over=False)
            if target is not None:
                where[index] = target.study_id
                moved += 1
    assert moved == 0
    assert set(where.values()) == {1, 2, 3}


def test_setbacks_wait_longer_each_time_and_are_forgotten_after_success() -> None:
    now = [0.0]
    setbacks = Setbacks(30.0, longest=100.0, clock=lambda: now[0])
    assert not setbacks.hold(1)
    assert [setbacks.add(1) for _ in range(4)] == [30.0, 60.0, 100.0, 100.0]
    assert setbacks.hold(1) and not setbacks.hold(2)
    now[0] = 100.0
    assert not setbacks.hold(1)
    setbacks.clear(1)
    assert setbacks.add(1) == 30.0
