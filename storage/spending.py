"""Budgets of epochs or of training time, shared by every worker of a study.

What a lease has taken is its ``spent``: what its trial has trained, and what its next epoch needs. An epoch begins only
where that was put aside, so the stored epochs never exceed the budget. What was put aside in vain is free again once
the trial has ended. The budget is the one that the study's stored spec has at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, case, exists, func, select
from sqlalchemy.orm import Session

from storage.database import Database, retried
from storage.fencing import Lease, fenced
from storage.tables import EpochRow, LeaseRow, StudyRow, TrialRow


@dataclass(frozen=True)
class Allowance:
    """What all trials of a study may train together.

    Attributes:
        total: so many epochs, or seconds of stored epochs. An epoch is expected to take as long as the trial's last
            one, and the first one no time.
    """

    unit: Literal["epochs", "seconds"]
    total: float

    def admits(self, session: Session, row: LeaseRow) -> bool:
        """Whether a worker may have the lease.

        A trial that a worker has left with epochs is gone on with even where nothing is left for it: it ends with what
        it has come to.
        """
        if self._with_next_epoch(session, row) is not None:
            return True
        has_epochs = select(exists().where(EpochRow.trial_id == row.trial_id))
        return row.state != "paused" and bool(session.scalar(has_epochs))

    def put_aside(self, session: Session, row: LeaseRow) -> bool:
        """Whether the lease's trial may train another epoch, which is put aside then. The study is locked."""
        taken = self._with_next_epoch(session, row)
        if taken is not None:
            row.spent = taken
        return taken is not None

    def _with_next_epoch(self, session: Session, row: LeaseRow) -> float | None:
        """What the lease has taken once the next epoch is put aside; None if nothing is left for that."""
        trained, step = self._trained(session, row.trial_id)
        taken = row.spent or 0.0
        # Of a paused trial nothing is put aside.
        if row.state != "paused" and taken >= trained + step and taken > trained:
            return taken
        others = self._taken_by_others(session, row)
        if others + trained >= self.total or others + trained + step > self.total:
            return None
        return trained + step

    def _trained(self, session: Session, trial_id: int | None) -> tuple[float, float]:
        """What the trial has trained, and what its next epoch needs."""
        if self.unit == "epochs":
            count = select(func.count()).where(EpochRow.trial_id == trial_id)
            return float(session.scalars(count).one()), 1.0
        seconds = session.scalars(
            select(EpochRow.seconds).where(EpochRow.trial_id == trial_id).order_by(EpochRow.epoch)
        ).all()
        return float(sum(seconds)), float(seconds[-1]) if seconds else 0.0

    def _taken_by_others(self, session: Session, row: LeaseRow) -> float:
        ended = TrialRow.epochs if self.unit == "epochs" else TrialRow.seconds
        trained = self._trained_by_lease()
        # A trial that began before there was a budget trains an epoch that it has not put aside.
        unasked = trained + (1.0 if self.unit == "epochs" else 0.0)
        each = case(
            (LeaseRow.state == "closed", ended),
            (LeaseRow.trial_id.is_(None), LeaseRow.spent),
            (LeaseRow.state == "paused", trained),
            (LeaseRow.spent > trained, LeaseRow.spent),
            (LeaseRow.spent.is_(None) & (LeaseRow.state == "held"), unasked),
            else_=trained,
        )
        total = (
            select(func.sum(each))
            .select_from(LeaseRow)
            .outerjoin(TrialRow, TrialRow.lease_id == LeaseRow.id)
            .where(LeaseRow.study_id == row.study_id, LeaseRow.id != row.id)
        )
        return float(session.scalar(total) or 0.0)

    def _trained_by_lease(self) -> ColumnElement[float]:
        what = func.count() if self.unit == "epochs" else func.coalesce(func.sum(EpochRow.seconds), 0.0)
        trained = select(what).where(EpochRow.trial_id == LeaseRow.trial_id)
        return trained.correlate(LeaseRow).scalar_subquery()


def allowance_of(spec: Mapping[str, Any]) -> Allowance | None:
    """Of a study's stored spec; None for a study that may train as much as it likes. Older versions stored none."""
    budget = spec.get("budget") or {}
    if budget.get("epochs") is not None:
        return Allowance("epochs", budget["epochs"])
    return None if budget.get("trial_time") is None else Allowance("seconds", budget["trial_time"])


def locked_allowance(session: Session, study_id: int) -> Allowance | None:
    """What the study's budget allows now. One transaction at a time has it; one of a study without does not wait."""
    if _allowance(session, _spec_of(study_id)) is None:
        return None
    return _allowance(session, _spec_of(study_id).with_for_update())


def _spec_of(study_id: int) -> Select[tuple[Any]]:
    return select(StudyRow.spec).where(StudyRow.study_id == study_id)


def _allowance(session: Session, spec: Select[tuple[Any]]) -> Allowance | None:
    return allowance_of(session.scalar(spec) or {})


@retried
def may_go_on(db: Database, lease: Lease) -> bool:
    """Whether the lease's trial, whose epochs are stored, may train another one.

    Raises:
        LeaseLost: another worker has the lease.
    """
    with db.reading() as session:
        if _allowance(session, _spec_of(lease.study_id)) is None:
            return True
    with db.writing() as session:
        allowance = locked_allowance(session, lease.study_id)
        return allowance is None or allowance.put_aside(session, fenced(session, lease))
