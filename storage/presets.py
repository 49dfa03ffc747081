"""What trials that have not begun are told to try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from storage.database import Database, retried
from storage.errors import NothingLeft
from storage.studies import load_study
from storage.tables import LeaseRow


def enqueue(db: Database, study: str, preset: Mapping[str, Any]) -> int:
    """Gives hyperparameter values to the next lease that nobody has begun, ahead of those that are sampled.

    Safe while workers acquire leases and others enqueue: each call that returns has a lease of its own, which no
    worker had acquired before it knew the values.

    Args:
        preset: at least one value, by hyperparameter.

    Returns:
        How many others are told what to try before it.

    Raises:
        UnknownStudy: there is none of this name.
        NothingLeft: every lease has begun or has values already.
        ValueError: ``preset`` is empty.
    """
    if not preset:
        raise ValueError("a preset without values")
    record = load_study(db, study)
    before = _give(db, record.study_id, preset)
    if before is None:
        raise NothingLeft(study, record.budget)
    return before


@retried
def _give(db: Database, study_id: int, preset: Mapping[str, Any]) -> int | None:
    with db.writing() as session:
        while (lease_id := session.scalar(_free(study_id))) is not None:
            # By primary key, and waiting for whoever holds it: what is locked may yet turn out to be free.
            row = session.scalar(select(LeaseRow).where(LeaseRow.id == lease_id, _unbegun()).with_for_update())
            if row is not None:
                row.preset, row.rank = dict(preset), 1
                return _told_before(session, row)
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
