"""Results of closed leases: stored once, and asked about by workers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from optuna.storages._rdb.models import TrialModel
from optuna.trial import TrialState
from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from storage.database import Database, retried
from storage.ranking import Standing, losses, ranked
from storage.tables import EpochRow, LeaseRow, TrialRow

# Outcomes that show that the search space and the data can train.
SUCCESSES = ("complete", "pruned")


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        trial_id: Optuna's id.
        number: the trial's number in its study.
        outcome: ``complete``, ``pruned``, ``failed`` ...
        cause: what failures of the same kind have in common; None unless it failed.
        reason: what happened, for people.
        value: the objective, over the best epoch and its neighbour; NaN and infinities are stored as None.
        best_epoch: the epoch of ``metrics``, whose model is kept.
        metrics: every metric of the best epoch.
        epochs: epochs trained over all attempts.
        seconds: wall time of training them.
        parameters: the model's parameter count.
        checkpoint: the place of the best epoch's model, while it is kept.
        checkpoint_size: its size in bytes; None of results stored before it was recorded.
        checkpoint_sha256: the SHA-256 of its bytes, in hexadecimal; None likewise.
        log: the place of what the trial's process printed.
        measures: the value of every objective and constraint by name, where the study has more than one objective.
        violation: how far it is beyond the constraints, added up; 0 if it keeps them, None if there are none.
    """

    trial_id: int
    number: int
    outcome: str
    cause: str | None = None
    reason: str | None = None
    traceback: str | None = None
    value: float | None = None
    best_epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    parameters: int | None = None
    checkpoint: str | None = None
    checkpoint_size: int | None = None
    checkpoint_sha256: str | None = None
    log: str | None = None
    measures: dict[str, float] | None = None
    violation: float | None = None


@dataclass(frozen=True)
class Trained:
    """Epochs stored for a trial, and the seconds that they took."""

    epochs: int
    seconds: float


def store_result(session: Session, db: Database, study_id: int, lease_id: int, result: TrialResult) -> None:
    """Adds the result to a transaction of the caller's."""
    row = TrialRow(study_id=study_id, lease_id=lease_id, **asdict(result))
    row.closed_at = db.now()  # type: ignore[assignment]  # an SQL expression, filled in by the flush
    session.add(row)


def trained(db: Database, trial_id: int) -> Trained:
    """What the stored epochs of a trial add up to."""
    total = select(func.count(), func.coalesce(func.sum(EpochRow.seconds), 0.0))
    with db.reading() as session:
        epochs, seconds = session.execute(total.where(EpochRow.trial_id == trial_id)).one()
    return Trained(epochs=epochs, seconds=float(seconds))


def stored_epochs(db: Database, trial_id: int) -> int:
    """How many epochs of a trial are stored without a gap, from its first one on."""
    stored = select(EpochRow.epoch).where(EpochRow.trial_id == trial_id).order_by(EpochRow.epoch)
    with db.reading() as session:
        found = session.scalars(stored).all()
    return sum(1 for expected, epoch in enumerate(found, 1) if epoch == expected)


def recent_failures(db: Database, study_id: int, n: int) -> list[tuple[str, str | None]]:
    """Outcome and cause of the ``n`` trials closed last, the latest first, failures or not."""
    latest = (
        select(TrialRow.outcome, TrialRow.cause)
        .where(TrialRow.study_id == study_id)
        .order_by(TrialRow.closed_at.desc(), TrialRow.trial_id.desc())
        .limit(n)
    )
    with db.reading() as session:
        return [(row.outcome, row.cause) for row in session.execute(latest)]


def any_success(db: Database, study_id: int) -> bool:
    """Whether any trial trained as it should: complete, pruned or paused."""
    success = exists().where(TrialRow.study_id == study_id, TrialRow.outcome.in_(SUCCESSES))
    paused = exists().where(LeaseRow.study_id == study_id, LeaseRow.state == "paused")
    with db.reading() as session:
        return bool(session.scalar(select(success | paused)))


def untold(db: Database, study_id: int) -> list[TrialResult]:
    """Results whose trials Optuna still has as running: their worker died before it told them."""
    unfinished = (
        select(TrialRow)
        .join(TrialModel, TrialModel.trial_id == TrialRow.trial_id)
        .where(TrialModel.study_id == study_id, TrialModel.state == TrialState.RUNNING)
        .order_by(TrialRow.trial_id)
    )
    with db.reading() as session:
        return [_result(row) for row in session.scalars(unfinished)]


def checkpoints(db: Database, study_id: int, objectives: Sequence[Mapping[str, str]]) -> list[int]:
    """Numbers of the trials whose model is kept, in the order of their worth.

    By value, ties by lower number; with several objectives the Pareto front of all complete trials comes first. Trials
    that break a constraint come last.

    Args:
        objectives: as ``StudyRecord.objectives`` has them.
    """
    columns = select(
        TrialRow.number,
        TrialRow.value,
        TrialRow.measures,
        TrialRow.violation,
        TrialRow.checkpoint.is_not(None).label("kept"),
    ).where(TrialRow.study_id == study_id)
    # A trial without a kept model may still put others off the front.
    counted = TrialRow.outcome == "complete" if len(objectives) > 1 else TrialRow.checkpoint.is_not(None)
    with db.reading() as session:
        rows = session.execute(columns.where(counted)).all()
    order = ranked(
        Standing(row.number, row.number, losses(objectives, _values(row, objectives)), row.violation or 0.0)
        for row in rows
    )
    kept = {row.number for row in rows if row.kept}
    return [each.number for each in order if each.number in kept]


def checkpoint_sizes(db: Database, study_id: int) -> dict[int, int | None]:
    """The size of each kept model in bytes, by the trial's number; None where it was not recorded."""
    kept = select(TrialRow.number, TrialRow.checkpoint_size).where(
        TrialRow.study_id == study_id, TrialRow.checkpoint.is_not(None)
    )
    with db.reading() as session:
        return {row.number: row.checkpoint_size for row in session.execute(kept)}


def better_kept(db: Database, study_id: int, value: float, *, maximize: bool) -> int:
    """How many trials with a kept model, within the constraints, have a better value of the leading objective."""
    better = TrialRow.value > value if maximize else TrialRow.value < value
    counted = select(func.count()).where(
        TrialRow.study_id == study_id,
        TrialRow.checkpoint.is_not(None),
        func.coalesce(TrialRow.violation, 0.0) <= 0,
        better,
    )
    with db.reading() as session:
        return session.scalar(counted) or 0


def _values(row: Any, objectives: Sequence[Mapping[str, str]]) -> list[float]:
    """The trial's value for each objective; what is not known is worse than everything."""
    known = row.measures if len(objectives) > 1 else {objectives[0]["metric"]: row.value}
    found = [(known or {}).get(each["metric"]) for each in objectives]
    return [
        _worst(each["direction"]) if value is None or math.isnan(value) else value
        for each, value in zip(objectives, found, strict=True)
    ]


def _worst(direction: str) -> float:
    return -math.inf if direction == "maximize" else math.inf


@retried
def forget_checkpoint(db: Database, study_id: int, number: int) -> None:
    """Notes that a trial's model was deleted."""
    with db.writing() as session:
        session.execute(
            update(TrialRow)
            .where(TrialRow.study_id == study_id, TrialRow.number == number)
            .values(checkpoint=None, checkpoint_size=None, checkpoint_sha256=None)
        )


def _result(row: TrialRow) -> TrialResult:
    return TrialResult(**{name: getattr(row, name) for name in TrialResult.__dataclass_fields__})
