"""The whole course of a study, in one snapshot and a number of statements that does not grow with its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages._rdb.models import TrialIntermediateValueModel, TrialModel, TrialParamModel, TrialValueModel
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.leaderboard import aware
from storage.progress import StudyStatus, status_in
from storage.studies import StudyRecord, record_of
from storage.summaries import (
    StudyKey,
    TrialSummary,
    best_ids,
    distribution_of,
    find_study,
    joined,
    state_column,
    stored_params,
    summaries,
)
from storage.tables import EpochRow, LeaseRow, TrialRow

_CHUNK = 500


@dataclass(frozen=True)
class Curve:
    """Metrics of one trial's epochs, in their order."""

    epochs: tuple[int, ...]
    metrics: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class TrialHistory:
    """One trial from its start to its end.

    Attributes:
        summary: as in the listings.
        values: of the objectives, in order; empty unless Optuna has all of them.
        sampled: value and distribution of every hyperparameter by the name that Optuna stores it under.
        started_at, ended_at: UTC; None where it has not.
        worker: the one that has it, or had it last.
        curve: its epochs.
    """

    summary: TrialSummary
    values: tuple[float, ...]
    sampled: dict[str, tuple[Any, BaseDistribution]]
    started_at: datetime | None
    ended_at: datetime | None
    worker: str | None
    attempts: int | None
    best_epoch: int | None
    parameters: int | None
    cause: str | None
    reason: str | None
    traceback: str | None
    curve: Curve


@dataclass(frozen=True)
class StudyHistory:
    """A study and everything that happened in it.

    Attributes:
        record: None for a plain Optuna study.
        status: of the same moment.
        maximize: of each objective, in order, whether more is better.
        trials: by number.
        best: numbers of the trials that rank, the best first; with several objectives those of the Pareto front.
        now: the database's time, UTC.
    """

    record: StudyRecord | None
    status: StudyStatus
    maximize: tuple[bool, ...]
    trials: tuple[TrialHistory, ...]
    best: tuple[int, ...]
    now: datetime


def history(db: Database, study: str, *, most: int | None = None, curves: bool = True) -> StudyHistory:
    """Everything about a study and its trials.

    Args:
        most: at most so many trials: every second one by number, or every third, ...
        curves: with their epochs.

    Raises:
        UnknownStudy: there is none of this name.
    """
    with db.reading() as session:
        key = find_study(session, study)
        chosen = _chosen(session, key, most)
        numbers = _numbers(session, chosen)
        return StudyHistory(
            record=None if key.row is None else record_of(key.row),
            status=status_in(session, db, key),
            maximize=key.maximize,
            trials=tuple(_trials(session, key, chosen, list(numbers), curves)),
            best=tuple(numbers[trial_id] for trial_id in best_ids(session, key, most) if trial_id in numbers),
            now=session.execute(select(db.now())).scalar_one(),
        )


def curves_of(db: Database, study: str, numbers: Sequence[int]) -> dict[int, Curve]:
    """The curves of trials by their numbers; there is none of a trial without epochs.

    Raises:
        UnknownStudy: there is none of this name.
    """
    with db.reading() as session:
        key = find_study(session, study)
        chosen = (TrialModel.study_id == key.study_id) & TrialModel.number.in_(numbers)
        ids = _numbers(session, chosen)
        return {ids[trial_id]: curve for trial_id, curve in _curves(session, list(ids)).items()}


def states_of(db: Database, study: str, numbers: Sequence[int]) -> dict[int, str]:
    """How trials ended, or their state while they have not, by their numbers.

    Raises:
        UnknownStudy: there is none of this name.
    """
    ended = func.coalesce(TrialRow.outcome, state_column())
    with db.reading() as session:
        key = find_study(session, study)
        chosen = (TrialModel.study_id == key.study_id) & TrialModel.number.in_(numbers)
        rows = session.execute(joined(TrialModel.number, ended.label("ended")).where(chosen))
        return {row.number: row.ended for row in rows}


def _chosen(session: Session, key: StudyKey, most: int | None) -> ColumnElement[bool]:
    ours: ColumnElement[bool] = TrialModel.study_id == key.study_id
    if most is None:
        return ours
    last = session.scalar(select(func.max(TrialModel.number)).where(ours)) or 0
    return ours & (TrialModel.number % -(-(last + 1) // most) == 0)


def _numbers(session: Session, chosen: ColumnElement[bool]) -> dict[int, int]:
    """The trials' numbers by their ids, in their order."""
    columns = select(TrialModel.trial_id, TrialModel.number).where(chosen)
    return {row.trial_id: row.number for row in session.execute(columns.order_by(TrialModel.number))}


def _trials(
    session: Session, key: StudyKey, chosen: ColumnElement[bool], ids: list[int], with_curves: bool
) -> list[TrialHistory]:
    rows = {row[0].trial_id: row for row in session.execute(joined(TrialModel, TrialRow, LeaseRow).where(chosen))}
    curves = _curves(session, ids) if with_curves else {}
    values, sampled = _values(session, key, chosen), _sampled(session, chosen)
    found = []
    for trial_id, summary in zip(ids, summaries(session, ids), strict=True):
        stored, result, lease = rows[trial_id]
        found.append(
            TrialHistory(
                summary=summary,
                values=values.get(trial_id, ()),
                sampled=sampled.get(trial_id, {}),
                started_at=aware(stored._datetime_start_utc),
                ended_at=result.closed_at if result else aware(stored._datetime_complete_utc),
                worker=lease.worker_id if lease else None,
                attempts=lease.attempts if lease else None,
                curve=curves.get(trial_id, Curve((), ())),
                **{name: getattr(result, name, None) for name in _OF_RESULT},
            )
        )
    return found


_OF_RESULT = ("best_epoch", "parameters", "cause", "reason", "traceback")


def _curves(session: Session, ids: list[int]) -> dict[int, Curve]:
    found: dict[int, list[tuple[int, dict[str, float]]]] = {}
    reported: dict[int, list[tuple[int, dict[str, float]]]] = {}
    model = TrialIntermediateValueModel
    # By trial, since neither table has an index by study.
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        epochs = select(EpochRow.trial_id, EpochRow.epoch, EpochRow.metrics).where(EpochRow.trial_id.in_(chunk))
        for trial_id, epoch, metrics in session.execute(epochs.order_by(EpochRow.trial_id, EpochRow.epoch)):
            found.setdefault(trial_id, []).append((epoch, metrics))
        steps = select(model.trial_id, model.step, model.intermediate_value, model.intermediate_value_type)
        for trial_id, step, *stored in session.execute(
            steps.where(model.trial_id.in_(chunk)).order_by(model.trial_id, model.step)
        ):
            value = model.stored_repr_to_intermediate_value(*stored)
            reported.setdefault(trial_id, []).append((step, {"value": value}))
    return {
        trial_id: Curve(tuple(epoch for epoch, _ in points), tuple(metrics for _, metrics in points))
        for trial_id, points in {**reported, **found}.items()
    }


def _values(session: Session, key: StudyKey, chosen: ColumnElement[bool]) -> dict[int, tuple[float, ...]]:
    rows: list[Any] = list(
        session.scalars(
            select(TrialValueModel)
            .join(TrialModel, TrialModel.trial_id == TrialValueModel.trial_id)
            .where(chosen)
            .order_by(TrialValueModel.objective)
        )
    )
    found: dict[int, list[float]] = {}
    for row in rows:
        found.setdefault(row.trial_id, []).append(row.stored_repr_to_value(row.value, row.value_type))
    return {trial_id: tuple(each) for trial_id, each in found.items() if len(each) == len(key.maximize)}


def _sampled(session: Session, chosen: ColumnElement[bool]) -> dict[int, dict[str, tuple[Any, BaseDistribution]]]:
    rows = session.execute(
        stored_params()
        .join(TrialModel, TrialModel.trial_id == TrialParamModel.trial_id)
        .where(chosen)
        .order_by(TrialParamModel.param_id)
    )
    found: dict[int, dict[str, tuple[Any, BaseDistribution]]] = {}
    for trial_id, name, value, text in rows:
        distribution = distribution_of(text)
        found.setdefault(trial_id, {})[name] = (distribution.to_external_repr(value), distribution)
    return found
