"""The processes of pools, whether they have a study now or not: so that people know whether anybody takes theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from sqlalchemy import delete, select

from storage.columns import seconds_between
from storage.database import Database, retried
from storage.pool import PoolMember, where_pools_go
from storage.tables import PoolRow, StudyRow
from storage.workers import LIVE_SECONDS


@dataclass(frozen=True)
class StandingPool:
    """A live standing worker: the process of a pool on one node.

    Attributes:
        name: name of the standing worker.
        host: name of the machine that it runs on.
        pid: process id.
        studies: pattern that the names of the studies it serves match.
        version: version of keras-champion that it runs.
        started_at: when it started, UTC.
        seen_seconds: seconds since it was last seen, by the database's clock.
        study: name of the study that it is working on or about to work on; None if there is none.
    """

    name: str
    host: str
    pid: int
    studies: str
    version: str
    started_at: datetime
    seen_seconds: float
    study: str | None

    def serves(self, study: str) -> bool:
        return fnmatchcase(study, self.studies)


@retried
def note(db: Database, member: PoolMember, studies: str) -> None:
    """A pool's process is there; it says so now and then."""
    with db.writing() as session:
        row = session.get(PoolRow, member.name)
        if row is None:
            row = PoolRow(name=member.name, host=member.host, pid=member.pid, studies=studies[:255])
            row.version = member.version
            row.started_at = db.now()  # type: ignore[assignment]  # filled in by the flush
            session.add(row)
        row.seen_at = db.now()  # type: ignore[assignment]


@retried
def leave(db: Database, member: PoolMember) -> None:
    """It has left; so have those that were not seen for long."""
    gone = seconds_between(PoolRow.seen_at, db.now()) > 10 * LIVE_SECONDS
    with db.writing() as session:
        session.execute(delete(PoolRow).where((PoolRow.name == member.name) | gone))


def standing_pools(db: Database) -> list[StandingPool]:
    """Those that were seen recently, in the order of their start."""
    ago = seconds_between(PoolRow.seen_at, db.now())
    wanted = select(PoolRow, ago).where(ago <= LIVE_SECONDS).order_by(PoolRow.started_at, PoolRow.name)
    with db.reading() as session:
        rows = session.execute(wanted).all()
        going = where_pools_go(session, db) if rows else {}
        named = select(StudyRow.study_id, StudyRow.name).where(StudyRow.study_id.in_(set(going.values())))
        names = {row.study_id: row.name for row in session.execute(named)} if going else {}
        return [_view(row, float(seconds), names.get(going.get(row.name, -1))) for row, seconds in rows]


def _view(row: PoolRow, seen_seconds: float, study: str | None) -> StandingPool:
    stored = (row.name, row.host, row.pid, row.studies, row.version, row.started_at)
    return StandingPool(*stored, seen_seconds=seen_seconds, study=study)
