"""How studies stand: counts that always add up to the budget, running trials, workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.storages._rdb.models import StudyModel, TrialIntermediateValueModel, TrialModel, TrialUserAttributeModel
from optuna.trial import TrialState
from sqlalchemy import Select, case, func, select, type_coerce
from sqlalchemy.orm import Session

from storage.columns import UtcDateTime, seconds_between
from storage.database import Database
from storage.promotion.counts import RungCount, rung_counts
from storage.studies import priority_of
from storage.summaries import (
    StudyKey,
    TrialSummary,
    champion_id,
    find_study,
    joined,
    state_column,
    summaries,
)
from storage.tables import EpochRow, LeaseRow, TrialRow
from storage.workers import Worker, workers_in

# The state of a study that this software did not launch.
PLAIN = "optuna"
# Under which Optuna's trial has what a worker notes for ``RunningTrial.note``.
NOTE_ATTRIBUTE = "tuner:note"


@dataclass(frozen=True)
class RunningTrial:
    """A running trial.

    Attributes:
        trial: number of the trial.
        worker: the worker that runs the trial; None for plain Optuna studies.
        epoch: number of the last epoch reported; None before the first.
        metrics: the metrics of that epoch.
        started_at: when the trial began, UTC.
        seconds: seconds since then, at least 0 (MySQL rounds Optuna's times to seconds).
        note: what is unusual about the trial: that it seems to hang, or has; None as a rule.
    """

    trial: int
    worker: str | None
    epoch: int | None
    metrics: dict[str, float]
    started_at: datetime | None
    seconds: float | None
    note: str | None = None


@dataclass(frozen=True)
class StudyStatus:
    """The state of a study at one moment.

    Always ``budget == complete + pruned + failed + running + paused + open``.

    Attributes:
        study: name of the study.
        state: state of the study: ``running``, ``stopping``, ``stopped``, ``finished`` or ``failed``; ``optuna`` for a
            plain Optuna study, whose budget is the trials it has.
        reason: why the study ended or was stopped, in words; None if there is no special reason.
        budget: number of trials that the study tries.
        complete: number of trials that are complete.
        pruned: number of trials that were ended early.
        failed: number of trials that failed.
        running: number of trials that a worker holds now.
        paused: number of trials that are paused at a rung, and may be promoted.
        open: number of trials that are still to be begun or continued.
        outcomes: number of ended trials by outcome.
        best_value: value of the best trial that keeps the constraints, by the leading objective if there are several.
        best_trial: number of that trial; None if there is none yet.
        running_trials: trials that are running now.
        workers: workers of the study.
        objectives: metric and direction of each objective, the leading one first; empty for plain Optuna studies.
        training_share: share of the workers' slot time that the stored epochs took, from 0 to 1; None before a worker
            has come. Epochs that were lost and trained again count once, the time of both counts.
        priority: the study's priority. Standing workers take the studies with the highest priority first.
        rungs: rungs that trials have reached, the lowest first; empty where no trial is paused.
    """

    study: str
    state: str
    reason: str | None
    budget: int
    complete: int
    pruned: int
    failed: int
    running: int
    open: int
    outcomes: dict[str, int]
    best_value: float | None
    best_trial: int | None
    running_trials: list[RunningTrial]
    workers: list[Worker]
    objectives: list[dict[str, str]] = field(default_factory=list)
    training_share: float | None = None
    priority: int = 0
    paused: int = 0
    rungs: list[RungCount] = field(default_factory=list)


# What is told how a study stands.
OnStatus = Callable[[StudyStatus], None]


@dataclass(frozen=True)
class StudyOverview:
    """A summary of a study.

    Attributes:
        study: name of the study.
        state: state of the study.
        done: number of trials that have ended.
        budget: number of trials that the study tries.
        best_value: value of the best trial; None if there is none yet.
        best_trial: number of the best trial; None if there is none yet.
        created_at: when the study was created, UTC; None if that is not known.
    """

    study: str
    state: str
    done: int
    budget: int
    best_value: float | None
    best_trial: int | None
    created_at: datetime | None


def status(db: Database, study: str) -> StudyStatus:
    """How a study stands, in one snapshot of the database.

    Raises:
        UnknownStudy: there is none of this name.
    """
    with db.reading() as session:
        return status_in(session, db, find_study(session, study))


def status_in(session: Session, db: Database, key: StudyKey) -> StudyStatus:
    """``status`` within the caller's snapshot."""
    counts = _counts(session, db, key)
    best = _best(session, key)
    workers = workers_in(session, db, key.study_id)
    return StudyStatus(
        study=key.name,
        state=key.row.state if key.row else PLAIN,
        reason=key.row.reason if key.row else None,
        budget=sum(counts.values()),
        **counts,
        outcomes=_outcomes(session, key),
        best_value=best.value if best else None,
        best_trial=best.trial if best else None,
        running_trials=_running_trials(session, db, key),
        workers=workers,
        objectives=list(key.row.objectives) if key.row else [],
        training_share=_training_share(session, key, workers),
        priority=priority_of(key.row.spec) if key.row else 0,
        rungs=rung_counts(session, key.study_id) if key.row else [],
    )


def overview(db: Database, *, after: str | None = None, limit: int | None = None) -> list[StudyOverview]:
    """Every study, plain Optuna studies included, the newest first.

    Args:
        after: only those that come after the study of this name.
        limit: at most this many.

    Raises:
        UnknownStudy: there is none of the name ``after``.
    """
    with db.reading() as session:
        newest_first = select(StudyModel.study_name).order_by(StudyModel.study_id.desc()).limit(limit)
        if after is not None:
            newest_first = newest_first.where(StudyModel.study_id < find_study(session, after).study_id)
        names = session.scalars(newest_first).all()
        return [_overview(session, db, find_study(session, name)) for name in names]


def _overview(session: Session, db: Database, key: StudyKey) -> StudyOverview:
    counts = _counts(session, db, key)
    best = _best(session, key)
    return StudyOverview(
        study=key.name,
        state=key.row.state if key.row else PLAIN,
        done=counts["complete"] + counts["pruned"] + counts["failed"],
        budget=sum(counts.values()),
        best_value=best.value if best else None,
        best_trial=best.trial if best else None,
        created_at=key.row.created_at if key.row else _first_start(session, key),
    )


def _counts(session: Session, db: Database, key: StudyKey) -> dict[str, int]:
    """Number of trials by state; what is left of the budget is ``open``."""
    counted = _lease_states(db, key) if key.row else _trial_states(key)
    counts = dict.fromkeys(("complete", "pruned", "failed", "running", "paused", "open"), 0)
    for state, count in session.execute(counted):
        counts["open" if state == "waiting" else state] += count
    return counts


def _lease_states(db: Database, key: StudyKey) -> Select[Any]:
    # From the leases, not the trials: they are the budget.
    held = (LeaseRow.state == "held") & (LeaseRow.expires_at > db.now())
    state = case(
        (held, "running"),
        (LeaseRow.state == "paused", "paused"),
        (LeaseRow.state != "closed", "open"),
        else_=state_column(),
    )
    each = (
        select(state.label("state"))
        .select_from(LeaseRow)
        .outerjoin(TrialModel, TrialModel.trial_id == LeaseRow.trial_id)
        .outerjoin(TrialRow, TrialRow.trial_id == LeaseRow.trial_id)
        .where(LeaseRow.study_id == key.study_id)
        .subquery()
    )
    return select(each.c.state, func.count()).group_by(each.c.state)


def _trial_states(key: StudyKey) -> Select[Any]:
    each = joined(state_column().label("state")).where(TrialModel.study_id == key.study_id).subquery()
    return select(each.c.state, func.count()).group_by(each.c.state)


def _outcomes(session: Session, key: StudyKey) -> dict[str, int]:
    counted = (
        select(TrialRow.outcome, func.count().label("count"))
        .where(TrialRow.study_id == key.study_id)
        .group_by(TrialRow.outcome)
        .order_by(TrialRow.outcome)
    )
    return {outcome: count for outcome, count in session.execute(counted)}  # noqa: C416 - mypy takes rows for no pairs


def _best(session: Session, key: StudyKey) -> TrialSummary | None:
    trial_id = champion_id(session, key)
    return None if trial_id is None else summaries(session, [trial_id])[0]


def _training_share(session: Session, key: StudyKey, workers: Sequence[Worker]) -> float | None:
    there = sum(worker.slot_seconds for worker in workers)
    return min(1.0, _training_seconds(session, key) / there) if there > 0 else None


def _training_seconds(session: Session, key: StudyKey) -> float:
    """Of all stored epochs. Those of ended trials are added up already; epochs have no index by study."""
    ended = select(func.sum(TrialRow.seconds)).where(TrialRow.study_id == key.study_id)
    under_way = (
        select(func.sum(EpochRow.seconds))
        .join(LeaseRow, LeaseRow.trial_id == EpochRow.trial_id)
        .where(LeaseRow.study_id == key.study_id, LeaseRow.state != "closed")
    )
    return float(sum(session.scalar(total) or 0.0 for total in (ended, under_way)))


def _first_start(session: Session, key: StudyKey) -> datetime | None:
    first = func.min(TrialModel._datetime_start_utc)
    found: datetime | None = session.scalar(
        select(type_coerce(first, UtcDateTime)).where(TrialModel.study_id == key.study_id)
    )
    return found


def _running_trials(session: Session, db: Database, key: StudyKey) -> list[RunningTrial]:
    started = TrialModel._datetime_start_utc
    rows = session.execute(
        joined(
            TrialModel.trial_id,
            TrialModel.number,
            LeaseRow.worker_id,
            type_coerce(started, UtcDateTime).label("started_at"),
            seconds_between(started, db.now()).label("seconds"),
        )
        .where(TrialModel.study_id == key.study_id, TrialModel.state == TrialState.RUNNING)
        .where(state_column() == "running")
        .order_by(TrialModel.number)
    ).all()
    latest = _latest_epochs(session, [row.trial_id for row in rows])
    notes = _notes(session, [row.trial_id for row in rows])
    return [
        RunningTrial(
            trial=row.number,
            worker=row.worker_id,
            epoch=latest.get(row.trial_id, (None, {}))[0],
            metrics=latest.get(row.trial_id, (None, {}))[1],
            started_at=row.started_at,
            seconds=None if row.seconds is None else max(0.0, row.seconds),
            note=notes.get(row.trial_id),
        )
        for row in rows
    ]


def _notes(session: Session, ids: Sequence[int]) -> dict[int, str | None]:
    noted = TrialUserAttributeModel
    asked = select(noted.trial_id, noted.value_json).where(noted.trial_id.in_(ids), noted.key == NOTE_ATTRIBUTE)
    return {trial_id: json.loads(value) for trial_id, value in session.execute(asked)}


def _latest_epochs(session: Session, ids: Sequence[int]) -> dict[int, tuple[int | None, dict[str, float]]]:
    found: dict[int, tuple[int | None, dict[str, float]]] = {}
    reported = TrialIntermediateValueModel
    steps = (
        select(reported.trial_id, func.max(reported.step)).where(reported.trial_id.in_(ids)).group_by(reported.trial_id)
    )
    for trial_id, step in session.execute(steps):
        found[trial_id] = (step, {})
    last = (
        select(EpochRow.trial_id, func.max(EpochRow.epoch).label("epoch"))
        .where(EpochRow.trial_id.in_(ids))
        .group_by(EpochRow.trial_id)
        .subquery()
    )
    same = (EpochRow.trial_id == last.c.trial_id) & (EpochRow.epoch == last.c.epoch)
    for row in session.scalars(select(EpochRow).join(last, same)):
        found[row.trial_id] = (row.epoch, row.metrics)
    return found
