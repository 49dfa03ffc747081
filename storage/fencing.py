"""Fencing: a lease as its holder knows it, and the conditions under which the holder's writes count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.errors import LeaseLost
from storage.tables import LeaseRow


@dataclass(frozen=True)
class Lease:
    """A lease as its holder knows it.

    Attributes:
        ordinal: its place in the study, from 0.
        token: raised at every acquisition; a holder with a lower one is stale.
        attempts: acquisitions so far, this one included, without those given back.
        trial_id: Optuna's id of its trial, once there is one.
        number: that trial's number.
        preset: hyperparameter values to try; empty means sample.
        resume: the latest resume checkpoint, as ``save_resume`` stored it.
        promoted: its trial was paused until now.
    """

    id: int
    study_id: int
    ordinal: int
    token: int
    attempts: int
    trial_id: int | None
    number: int | None
    preset: dict[str, Any]
    resume: dict[str, Any] | None
    promoted: bool = False


def fenced(session: Session, lease: Lease) -> LeaseRow:
    """The lease's row, locked, if this holder still has it."""
    row = session.scalar(select(LeaseRow).where(still_held([lease])).with_for_update())
    if row is None:
        raise LeaseLost(lease.id)
    return row


def still_held(leases: Sequence[Lease]) -> ColumnElement[bool]:
    # The ids alone find the rows by primary key; the pairs then fence them.
    pairs = [and_(LeaseRow.id == lease.id, LeaseRow.token == lease.token) for lease in leases]
    ids = [lease.id for lease in leases]
    return and_(LeaseRow.id.in_(ids), LeaseRow.state == "held", or_(*pairs))


def expired(db: Database) -> ColumnElement[bool]:
    return and_(LeaseRow.state == "held", LeaseRow.expires_at <= db.now())


def trial_of(lease: Lease) -> int:
    if lease.trial_id is None:
        raise ValueError(f"lease {lease.id} has no trial yet")
    return lease.trial_id
