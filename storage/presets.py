"""What trials that have not begun are told to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from storage.database import Database, retried
from storage.errors import NothingLeft
from storage.studies import StudyRecord, load_study
from storage.tables import LeaseRow


def enqueue(db: Database, study: str, *presets: Mapping[str, Any]) -> list[int]:
    """Gives hyperparameter values to the next leases that nobody has begun, ahead of those that are sampled.

    All of them or none. Safe while workers acquire leases and others enqueue: each of the presets has a lease of its
    own, which no worker had acquired before it knew the values.

    Args:
        presets: at least one value each, by hyperparameter.

    Returns:
        For each, how many others are told what to try before it.

    Raises:
        UnknownStudy: there is none of this name.
        NothingLeft: there are fewer leases that have not begun and have no values yet.
        ValueError: one of ``presets`` is empty.
    """
    if not all(presets):
        raise ValueError("a preset without values")
    record = load_study(db, study)
    return _give(db, record, presets)


@retried
def _give(db: Database, study: StudyRecord, presets: Sequence[Mapping[str, Any]]) -> list[int]:
    with db.writing() as session:
        rows = [_given(session, study.study_id, preset) for preset in presets]
        if None in rows:
            raise NothingLeft(study.name, study.budget)
        return [_told_before(session, row) for row in rows if row is not None]


def _given(session: Session, study_id: int, preset: Mapping[str, Any]) -> LeaseRow | None:
    """The lease that has the values now."""
    while (lease_id := session.scalar(_free(study_id))) is not None:
        # By primary key, and waiting for whoever holds it: what is locked may yet turn out to be free.
        row = session.scalar(select(LeaseRow).where(LeaseRow.id == lease_id, _unbegun()).with_for_update())
        if row is not None:
            row.preset, row.rank = dict(preset), 1
            session.flush()
            return row
    return None


def _free(study_id: int) -> Any:
    lowest = select(LeaseRow.id).where(LeaseRow.study_id == study_id, _unbegun())
    return lowest.order_by(LeaseRow.rank, LeaseRow.ordinal).limit(1)


def _unbegun() -> ColumnElement[bool]:
    return and_(LeaseRow.state == "open", LeaseRow.trial_id.is_(None), LeaseRow.rank == 2)


def _told_before(session: Session, row: LeaseRow) -> int:
    others = select(func.count()).where(
        LeaseRow.study_id == row.study_id,
        LeaseRow.state == "open",
        LeaseRow.rank == 1,
        LeaseRow.ordinal < row.ordinal,
    )
    return session.scalars(others).one()
