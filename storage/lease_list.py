"""The units of a study's budget, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, select

from storage.database import Database
from storage.studies import load_study
from storage.tables import LeaseRow


@dataclass(frozen=True)
class LeaseView:
    """A lease: one unit of a study's budget, that is, one trial.

    Attributes:
        ordinal: number of the lease within its study, from 0.
        state: state of the lease: ``open``, ``held``, ``expired`` (any worker may continue its trial), ``paused`` (its
            trial may be promoted) or ``closed``.
        trial: number of the lease's trial; None before the trial has begun.
        attempts: how often a worker has acquired the lease.
        worker: the worker that holds the lease, or held it last; None if there is none.
        acquired_at: when a worker last acquired the lease, UTC; None if none has.
        expires_at: when the lease expires unless its worker renews it, UTC; None if no worker holds it.
        preset: hyperparameter values that were enqueued for the trial.
    """

    ordinal: int
    state: str
    trial: int | None
    attempts: int
    worker: str | None
    acquired_at: datetime | None
    expires_at: datetime | None
    preset: dict[str, Any] | None


def list_leases(db: Database, study: str, *, after: int = -1, limit: int | None = None) -> list[LeaseView]:
    """A study's leases by ordinal, those beyond ``after``.

    Raises:
        UnknownStudy: there is none of this name; a plain Optuna study counts as none.
    """
    study_id = load_study(db, study).study_id
    held = LeaseRow.state == "held"
    state = case((held & (LeaseRow.expires_at <= db.now()), "expired"), else_=LeaseRow.state)
    chosen = select(LeaseRow, state).where(LeaseRow.study_id == study_id, LeaseRow.ordinal > after)
    with db.reading() as session:
        rows = session.execute(chosen.order_by(LeaseRow.ordinal).limit(limit))
        return [
            LeaseView(
                row.ordinal,
                shown,
                row.number,
                row.attempts,
                row.worker_id,
                row.acquired_at,
                row.expires_at,
                row.preset,
            )
            for row, shown in rows
        ]
