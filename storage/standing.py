"""The processes of pools, whether they have a study now or not: so that people know whether anybody takes theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from sqlalchemy import delete, select

from storage.columns import seconds_between
from storage.database import Database, retried
from storage.pool import PoolMember
from storage.tables import PoolRow
from storage.workers import LIVE_SECONDS


@dataclass(frozen=True)
class StandingPool:
    """The process of a pool on one node, which was seen recently.

    Attributes:
        studies: the pattern of the names that it serves.
    """

    name: str
    host: str
    pid: int
    studies: str
    version: str
    started_at: datetime
    seen_seconds: float

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
        return [
            StandingPool(row.name, row.host, row.pid, row.studies, row.version, row.started_at, float(seconds))
            for row, seconds in session.execute(wanted)
        ]
