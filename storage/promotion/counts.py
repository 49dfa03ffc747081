"""How many trials have reached each rung, for people."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from storage.tables import LeaseRow, RungRow


@dataclass(frozen=True)
class RungCount:
    """A rung of a study whose trials are paused and promoted.

    Attributes:
        epoch: number of epochs after which trials are compared.
        trials: number of trials that have reached the rung.
        passed: number of trials that went on at once.
        promoted: number of trials that went on after a pause.
        paused: number of trials that are paused at the rung now.
    """

    epoch: int
    trials: int
    passed: int
    promoted: int
    paused: int


def rung_counts(session: Session, study_id: int) -> list[RungCount]:
    """The rungs that trials have reached, the lowest first; empty for a study that pauses no trial."""
    paused = (RungRow.state == "paused") & (LeaseRow.state == "paused")
    counted = (
        select(
            RungRow.epoch,
            func.count(),
            func.count(case((RungRow.state == "passed", 1))),
            func.count(case((RungRow.state == "promoted", 1))),
            func.count(case((paused, 1))),
        )
        .join(LeaseRow, LeaseRow.trial_id == RungRow.trial_id)
        .where(RungRow.study_id == study_id)
        .group_by(RungRow.epoch)
        .order_by(RungRow.epoch)
    )
    return [RungCount(*row) for row in session.execute(counted)]
