"""Budgets of epochs or of training time, shared by every worker of a study.

What a lease has taken is its ``spent``: what its trial has trained, and what its next epoch needs. An epoch begins only
where that was put aside, so the stored epochs never exceed the budget. What was put aside in vain is free again once
the trial has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, case, exists, func, select
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

    def lock(self, session: Session, study_id: int) -> None:
        """Lets one transaction at a time put something aside."""
        session.execute(select(StudyRow.study_id).where(StudyRow.study_id == study_id).with_for_update())

    def put_aside(self, session: Session, row: LeaseRow) -> bool:
        """Whether the lease's trial may train another epoch, which is put aside then. The study is locked."""
        trained, step = self._trained(session, row.trial_id)
        taken = row.spent or 0.0
        if taken >= trained + step and taken > trained:
            return True
        others = self._taken(session, row.study_id) - taken
        if others + trained >= self.total or others + trained + step > self.total:
            return False
        row.spent = trained + step
        return True

    def is_used_up(self, session: Session, study_id: int) -> bool:
        """Whether no trial trains and none may begin or go on."""
        # Who waits to go on may have put its next epoch aside.
        may_go_on = exists().where(
            LeaseRow.study_id == study_id,
            (LeaseRow.state == "held") | ((LeaseRow.state == "open") & (LeaseRow.spent > self._trained_by_lease())),
        )
        if session.scalar(select(may_go_on)):
            return False
        smallest = 1.0 if self.unit == "epochs" else 0.0
        taken = self._taken(session, study_id)
        return taken >= self.total or taken + smallest > self.total

    def _trained(self, session: Session, trial_id: int | None) -> tuple[float, float]:
        """What the trial has trained, and what its next epoch needs."""
        if self.unit == "epochs":
            count = select(func.count()).where(EpochRow.trial_id == trial_id)
            return float(session.scalars(count).one()), 1.0
        seconds = session.scalars(
            select(EpochRow.seconds).where(EpochRow.trial_id == trial_id).order_by(EpochRow.epoch)
        ).all()
        return float(sum(seconds)), float(seconds[-1]) if seconds else 0.0

    def _taken(self, session: Session, study_id: int) -> float:
        """By all leases together."""
        ended = TrialRow.epochs if self.unit == "epochs" else TrialRow.seconds
        # Of a paused trial nothing is put aside.
        paused = LeaseRow.state == "paused"
        each = case((LeaseRow.state == "closed", ended), (paused, self._trained_by_lease()), else_=LeaseRow.spent)
        total = (
            select(func.sum(each))
            .select_from(LeaseRow)
            .outerjoin(TrialRow, TrialRow.lease_id == LeaseRow.id)
            .where(LeaseRow.study_id == study_id)
        )
        return float(session.scalar(total) or 0.0)

    def _trained_by_lease(self) -> ColumnElement[float]:
        what = func.count() if self.unit == "epochs" else func.coalesce(func.sum(EpochRow.seconds), 0.0)
        trained = select(what).where(EpochRow.trial_id == LeaseRow.trial_id)
        return trained.correlate(LeaseRow).scalar_subquery()


@retried
def may_go_on(db: Database, lease: Lease, allowance: Allowance) -> bool:
    """Whether the lease's trial, whose epochs are stored, may train another one.

    Raises:
        LeaseLost: another worker has the lease.
    """
    with db.writing() as session:
        allowance.lock(session, lease.study_id)
        return allowance.put_aside(session, fenced(session, lease))


def is_used_up(db: Database, study_id: int, allowance: Allowance) -> bool:
    """Whether nothing of the study's budget is left, and no trial trains."""
    with db.reading() as session:
        return allowance.is_used_up(session, study_id)
