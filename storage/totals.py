"""Counts over all studies of a database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.columns import seconds_between
from storage.database import Database
from storage.tables import LeaseRow, StudyRow, TrialRow, WorkerRow
from storage.workers import LIVE_SECONDS


@dataclass(frozen=True)
class Totals:
    """Studies by state, ended trials by outcome, live workers, and open leases of studies that run."""

    studies: dict[str, int]
    trials: dict[str, int]
    workers: int
    waiting: int


def totals(db: Database) -> Totals:
    """Of one moment. Plain Optuna studies do not count."""
    live = (WorkerRow.left_at.is_(None)) & (seconds_between(WorkerRow.seen_at, db.now()) <= LIVE_SECONDS)
    waiting = (
        select(func.count())
        .select_from(LeaseRow)
        .join(StudyRow, StudyRow.study_id == LeaseRow.study_id)
        .where(StudyRow.state == "running", LeaseRow.state == "open")
    )
    with db.reading() as session:
        return Totals(
            _by(session, StudyRow.state),
            _by(session, TrialRow.outcome),
            session.scalar(select(func.count()).select_from(WorkerRow).where(live)) or 0,
            session.scalar(waiting) or 0,
        )


def _by(session: Session, column: object) -> dict[str, int]:
    rows = session.execute(select(column, func.count()).group_by(column))  # type: ignore[call-overload]
    return {str(name): count for name, count in rows}
