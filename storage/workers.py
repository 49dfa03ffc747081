"""Workers: who works on a study, and when each was last seen, by the database's clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.columns import seconds_between
from storage.database import Database, retried
from storage.studies import StudyRecord, record_of
from storage.tables import LeaseRow, StudyRow, WorkerRow

LIVE_SECONDS = 60.0


@dataclass(frozen=True)
class Worker:
    """One worker process.

    Attributes:
        id: id of the worker.
        study_id: number of the study in the database.
        host: name of the machine that the worker runs on.
        pid: process id of the worker.
        slots: number of trials that the worker can run at a time.
        gpus: the worker's GPUs, as it named them.
        version: version of keras-champion that the worker runs.
        versions: versions of everything that decides what the worker's trials compute, by name; None for workers that
            an older version of keras-champion registered.
        started_at: when the worker started, UTC.
        seen_at: when the worker was last seen, UTC.
        left_at: when the worker left, UTC; None if it has not left in an orderly way.
        trials: numbers of the trials that the worker is running now.
        seen_seconds: seconds since the worker was last seen, by the database's clock.
        live: whether the worker has not left and was seen recently.
    """

    id: str
    study_id: int
    host: str
    pid: int
    slots: int
    gpus: list[Any]
    version: str
    versions: dict[str, str] | None
    started_at: datetime
    seen_at: datetime
    left_at: datetime | None
    trials: list[int]
    seen_seconds: float
    live: bool

    @property
    def state(self) -> str:
        """``live``, ``left`` in order, or ``lost``: it went without a word."""
        return "live" if self.live else "lost" if self.left_at is None else "left"

    @property
    def slot_seconds(self) -> float:
        """How long it has been there, times its slots; until it was last seen if it is lost."""
        until = self.left_at or self.seen_at
        unseen = self.seen_seconds if self.live else 0.0
        return self.slots * max(0.0, (until - self.started_at).total_seconds() + unseen)


@retried
def register(
    db: Database,
    worker_id: str,
    study_id: int,
    *,
    host: str,
    pid: int,
    slots: int,
    gpus: Sequence[Any],
    version: str,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Announces a worker. Announcing it again changes nothing but the time it was seen.

    One that its pool had announced before it was started (``storage.pool``) begins now.
    """
    with db.writing() as session:
        row = session.get(WorkerRow, worker_id)
        if row is None or row.pid != pid:
            row = row or WorkerRow(id=worker_id)
            row.study_id, row.host, row.pid, row.slots = study_id, host, pid, slots
            row.gpus, row.version = list(gpus), version
            row.versions = None if versions is None else dict(versions)
            row.started_at = db.now()  # type: ignore[assignment]  # filled in by the flush
            session.add(row)
        row.seen_at = db.now()  # type: ignore[assignment]
        row.left_at = None


@retried
def seen(db: Database, worker_id: str) -> None:
    """Notes that the worker is alive."""
    with db.writing() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(seen_at=db.now()))


@retried
def leave(db: Database, worker_id: str) -> None:
    """Notes that the worker has gone in order."""
    with db.writing() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(left_at=db.now()))


def list_workers(db: Database, study_id: int, *, live_seconds: float = LIVE_SECONDS) -> list[Worker]:
    """Every worker that ever worked on the study, in the order of their start."""
    with db.reading() as session:
        return workers_in(session, db, study_id, live_seconds)


def workers_in(session: Session, db: Database, study_id: int, live_seconds: float = LIVE_SECONDS) -> list[Worker]:
    """``list_workers`` within the caller's snapshot."""
    ago = seconds_between(WorkerRow.seen_at, db.now())
    rows = session.execute(
        select(WorkerRow, ago).where(WorkerRow.study_id == study_id).order_by(WorkerRow.started_at, WorkerRow.id)
    )
    trials = _trials(session, db, [study_id])
    return [_worker(row, trials.get(row.id, []), float(seconds), live_seconds) for row, seconds in rows]


def list_live(
    db: Database, *, after: str = "", limit: int | None = None, live_seconds: float = LIVE_SECONDS
) -> list[tuple[StudyRecord, Worker]]:
    """Those of every study that live, by their ids, each with the study that it works on.

    Args:
        after: only those whose ids come after this one.
        limit: at most this many.
    """
    ago = seconds_between(WorkerRow.seen_at, db.now())
    lives = (WorkerRow.left_at.is_(None), ago <= live_seconds, WorkerRow.id > after)
    listing = select(WorkerRow, ago, StudyRow).join(StudyRow, StudyRow.study_id == WorkerRow.study_id).where(*lives)
    with db.reading() as session:
        rows = session.execute(listing.order_by(WorkerRow.id).limit(limit)).all()
        trials = _trials(session, db, {row.study_id for row, _, _ in rows})
        return [
            (record_of(study), _worker(row, trials.get(row.id, []), float(seconds), live_seconds))
            for row, seconds, study in rows
        ]


def _trials(session: Session, db: Database, studies: Collection[int]) -> dict[str, list[int]]:
    held = select(LeaseRow.worker_id, LeaseRow.number).where(
        LeaseRow.study_id.in_(studies),
        LeaseRow.state == "held",
        LeaseRow.expires_at > db.now(),
        LeaseRow.number.is_not(None),
    )
    found: dict[str, list[int]] = {}
    for row in session.execute(held.order_by(LeaseRow.number)).mappings():
        found.setdefault(row["worker_id"], []).append(row["number"])
    return found


def _worker(row: WorkerRow, trials: list[int], seen_seconds: float, live_seconds: float) -> Worker:
    stored = {name: getattr(row, name) for name in WorkerRow.__mapper__.columns.keys()}  # noqa: SIM118
    live = row.left_at is None and seen_seconds <= live_seconds
    return Worker(**stored, trials=trials, seen_seconds=seen_seconds, live=live)
