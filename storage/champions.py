"""Champions: exported models, registered with their verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from storage.database import Database, retried
from storage.errors import Conflict
from storage.tables import ChampionRow


@dataclass(frozen=True)
class Champion:
    """One export of a trial's model.

    Attributes:
        number: the trial's number.
        version: counts the study's exports from 1.
        path: where the export was written.
        value: the objective that the study recorded.
        verification: what was checked, and the outcome.
    """

    study_id: int
    number: int
    version: int
    path: str
    value: float | None
    verification: Any
    created_at: datetime


@retried
def register(
    db: Database,
    study_id: int,
    number: int,
    *,
    path: str,
    value: float | None,
    verification: Mapping[str, Any],
) -> int:
    """Stores an export and gives its version."""
    latest = select(func.max(ChampionRow.version)).where(ChampionRow.study_id == study_id)
    try:
        with db.writing() as session:
            row = ChampionRow(study_id=study_id, number=number, path=path, value=value)
            row.verification = dict(verification)
            row.version = (session.scalar(latest) or 0) + 1
            row.created_at = db.now()  # type: ignore[assignment]  # filled in by the flush
            session.add(row)
        return row.version
    except IntegrityError as error:
        raise Conflict(db.url, "another export took the version") from error


def list_champions(db: Database, study_id: int) -> list[Champion]:
    """The study's exports, the newest first."""
    newest_first = select(ChampionRow).where(ChampionRow.study_id == study_id).order_by(ChampionRow.version.desc())
    with db.reading() as session:
        return [_champion(row) for row in session.scalars(newest_first)]


def _champion(row: ChampionRow) -> Champion:
    return Champion(**{name: getattr(row, name) for name in Champion.__dataclass_fields__})
