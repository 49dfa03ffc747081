"""Launches: which engine was told to run workers of a study, and what finds them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from storage.database import Database, retried
from storage.errors import Conflict
from storage.tables import LaunchRow


@dataclass(frozen=True)
class Launch:
    """Workers that an engine was told to run.

    Attributes:
        number: counted from 1 within the study.
        engine: its name.
        wanted: what was asked for, as JSON without the storage URL.
        handle: what the engine needs to find the workers again, as JSON; None until it has started them.
        stopped_at: when they were told to leave, or were found to have left; None while some may work.
    """

    id: int
    study_id: int
    number: int
    engine: str
    wanted: dict[str, Any]
    handle: dict[str, Any] | None
    started_at: datetime
    stopped_at: datetime | None


@retried
def begin(db: Database, study_id: int, engine: str) -> Launch:
    """Takes the study's next number, before the engine is told anything.

    Raises:
        Conflict: another launch took it at the same moment.
    """
    try:
        with db.writing() as session:
            last = session.scalar(select(func.max(LaunchRow.number)).where(LaunchRow.study_id == study_id))
            row = LaunchRow(study_id=study_id, number=(last or 0) + 1, engine=engine, wanted={}, handle=None)
            row.started_at = db.now()  # type: ignore[assignment]  # filled in by the flush
            session.add(row)
            session.flush()
            session.refresh(row)
            return _launch(row)
    except IntegrityError as error:
        raise Conflict(db.url, "another launch of this study began at the same moment; launch again") from error


@retried
def note(db: Database, launch: Launch, *, wanted: Mapping[str, Any], handle: Mapping[str, Any]) -> None:
    """Keeps what the engine was told and what it answered."""
    _change(db, launch, wanted=dict(wanted), handle=dict(handle))


@retried
def stopped(db: Database, launch: Launch, *, handle: Mapping[str, Any] | None = None) -> None:
    """Notes that the launch's workers were told to leave, or have left; the first time counts."""
    _change(db, launch, stopped_at=func.coalesce(LaunchRow.stopped_at, db.now()))
    if handle is not None:
        _change(db, launch, handle=dict(handle))


def _change(db: Database, launch: Launch, **values: Any) -> None:
    with db.writing() as session:
        session.execute(update(LaunchRow).where(LaunchRow.id == launch.id).values(**values))


@retried
def forget(db: Database, launch: Launch) -> None:
    """Takes back a launch whose engine refused to start it."""
    with db.writing() as session:
        row = session.get(LaunchRow, launch.id)
        if row is not None:
            session.delete(row)


def list_launches(db: Database, study_id: int) -> list[Launch]:
    """Every launch of the study, the first one first."""
    with db.reading() as session:
        rows = session.scalars(select(LaunchRow).where(LaunchRow.study_id == study_id).order_by(LaunchRow.number))
        return [_launch(row) for row in rows]


def _launch(row: LaunchRow) -> Launch:
    return Launch(**{name: getattr(row, name) for name in Launch.__dataclass_fields__})
