"""Workers of pools: which studies wait for one, and which worker is on its way to which study.

A pool's process serves one study after the other, with a worker of its own for each turn. The worker is announced
(a row among the workers, filled in when it registers) in the transaction that chooses its study, so that of several
pools that choose at the same time each one sees where the others are going.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from storage.columns import seconds_between
from storage.database import Database, retried
from storage.studies import priority_of
from storage.tables import LeaseRow, StudyRow, WorkerRow
from storage.workers import LIVE_SECONDS


@dataclass(frozen=True)
class Served:
    """A running study as pools see it.

    Attributes:
        slots: of the workers that are there or on their way.
        room: trials that wait to be begun or gone on with, and that no slot of these is free for; 1 for a study that
            nobody is on and that only has to be ended, since its last worker died before it could.
        waiting: trials that wait at all.
        since: when the last worker left, or the study began.
    """

    study_id: int
    name: str
    priority: int
    slots: int
    room: int
    waiting: int
    since: datetime


@dataclass(frozen=True)
class OwnWorker:
    """A pool's own worker.

    Attributes:
        held: the trials that it has now.
        registered: it has come, and is not only announced.
    """

    id: str
    study_id: int
    slots: int
    held: int
    registered: bool


@dataclass(frozen=True)
class PoolView:
    """One moment: every running study that is not past its deadline, and the pool's own worker if there is one."""

    studies: list[Served]
    own: OwnWorker | None


@dataclass(frozen=True)
class PoolMember:
    """The process of a pool on one node.

    Attributes:
        name: unique; its workers are ``NAME.1``, ``NAME.2`` ... of which the last one counts: where it is going.
    """

    name: str
    host: str
    pid: int
    version: str

    def worker(self, turn: int) -> str:
        return f"{self.name}.{turn}"


Choose = Callable[[PoolView], Served | None]


def look(db: Database, own: str | None = None) -> PoolView:
    """How the studies stand.

    Args:
        own: the id of the caller's worker.
    """
    with db.reading() as session:
        return _view(session, db, own)


@retried
def announce(
    db: Database, member: PoolMember, turn: int, slots: int, choose: Choose, own: str | None = None
) -> Served | None:
    """Lets ``choose`` decide where a pool's next worker goes, and announces it there; one decides at a time.

    Args:
        turn: of the next worker.
        slots: how many it will have, as far as the pool knows; it says so itself when it registers.
        own: as for ``look``.
    """
    with db.writing() as session:
        # Whoever chooses holds the running studies' rows until everybody can see what was chosen.
        running = select(StudyRow.study_id).where(StudyRow.state == "running").order_by(StudyRow.study_id)
        session.execute(running.with_for_update()).all()
        _forget(session, member.worker(turn), member.pid)
        chosen = choose(_view(session, db, own))
        if chosen is not None:
            row = WorkerRow(id=member.worker(turn), study_id=chosen.study_id, host=member.host, pid=member.pid)
            row.slots, row.gpus, row.version = slots, [], member.version
            row.started_at = row.seen_at = db.now()  # type: ignore[assignment]  # filled in by the flush
            session.add(row)
        return chosen


@retried
def withdraw(db: Database, member: PoolMember, turn: int) -> None:
    """Notes that a worker has gone, however it ended; one that never came is forgotten."""
    worker_id = member.worker(turn)
    with db.writing() as session:
        _forget(session, worker_id, member.pid)
        gone = update(WorkerRow).where(WorkerRow.id == worker_id, WorkerRow.left_at.is_(None))
        session.execute(gone.values(left_at=db.now()).execution_options(synchronize_session=False))


def _forget(session: Session, worker_id: str, pid: int) -> None:
    announced = and_(WorkerRow.id == worker_id, WorkerRow.pid == pid, WorkerRow.versions.is_(None))
    session.execute(delete(WorkerRow).where(announced).execution_options(synchronize_session=False))


def _view(session: Session, db: Database, own: str | None) -> PoolView:
    in_time = or_(StudyRow.deadline.is_(None), StudyRow.deadline > db.now())
    wanted = (StudyRow.study_id, StudyRow.name, StudyRow.spec, StudyRow.created_at)
    studies = session.execute(select(*wanted).where(StudyRow.state == "running", in_time)).all()
    ids = [row.study_id for row in studies]
    leases = _leases(session, db, ids)
    workers = _live_workers(session, db)
    last_left = _last_left(session, ids)
    going = _where_they_go(workers)
    served = []
    for row in studies:
        waiting, held = leases.get(row.study_id, (0, 0))
        slots = sum(each.slots for each in going if each.study_id == row.study_id)
        left_over = waiting == held == slots == 0
        room = 1 if left_over else max(0, waiting - max(0, slots - held))
        since = last_left.get(row.study_id) or row.created_at
        served.append(Served(row.study_id, row.name, priority_of(row.spec), slots, room, waiting, since))
    return PoolView(served, _own(session, db, workers, own))


def _leases(session: Session, db: Database, ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Of each study: the leases that anyone may acquire, and those that are held."""
    held = and_(LeaseRow.state == "held", LeaseRow.expires_at > db.now())
    counted = (
        select(LeaseRow.study_id, func.count().label("all"), func.count(case((held, 1))).label("held"))
        .where(LeaseRow.study_id.in_(ids), LeaseRow.state.not_in(("closed", "paused")))
        .group_by(LeaseRow.study_id)
    )
    return {row.study_id: (row.all - row.held, row.held) for row in session.execute(counted)}


def _live_workers(session: Session, db: Database) -> list[Any]:
    recent = seconds_between(WorkerRow.seen_at, db.now()) <= LIVE_SECONDS
    columns = (WorkerRow.id, WorkerRow.study_id, WorkerRow.slots, WorkerRow.versions)
    return list(session.execute(select(*columns).where(WorkerRow.left_at.is_(None), recent)))


def _last_left(session: Session, ids: Collection[int]) -> dict[int, datetime]:
    last = select(WorkerRow.study_id, func.max(WorkerRow.left_at)).where(WorkerRow.study_id.in_(ids))
    return {study_id: left for study_id, left in session.execute(last.group_by(WorkerRow.study_id)) if left}


def _where_they_go(workers: Collection[Any]) -> list[Any]:
    """The workers without those of a pool that is leaving their study: its next one is announced already."""
    newest: dict[str, int] = defaultdict(int)
    for row in workers:
        name, turn = _turn_of(row.id)
        newest[name] = max(newest[name], turn)
    return [row for row in workers if newest[_turn_of(row.id)[0]] == _turn_of(row.id)[1]]


def where_pools_go(session: Session, db: Database) -> dict[str, int]:
    """Of each pool that has a study, or is on its way to one: that study's id, by the pool's name."""
    return {_turn_of(row.id)[0]: row.study_id for row in _where_they_go(_live_workers(session, db))}


def _turn_of(worker_id: str) -> tuple[str, int]:
    name, _, turn = worker_id.rpartition(".")
    return (name, int(turn)) if name and turn.isdecimal() else (worker_id, 0)


def _own(session: Session, db: Database, workers: Collection[Any], own: str | None) -> OwnWorker | None:
    row = next((each for each in workers if each.id == own), None)
    if row is None:
        return None
    held = select(func.count()).where(LeaseRow.study_id == row.study_id, LeaseRow.worker_id == own)
    count = session.scalars(held.where(LeaseRow.state == "held")).one()
    return OwnWorker(row.id, row.study_id, row.slots, count, row.versions is not None)
