"""Queries about trials and studies. They read what they return: the best five of 10,000 trials are five rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from typing import Any

from optuna.storages._rdb.models import (
    TrialIntermediateValueModel,
    TrialModel,
    TrialParamModel,
)
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.errors import UnknownColumn, UnknownTrial
from storage.progress import RunningTrial, StudyOverview, StudyStatus, overview, status
from storage.results import SUCCESSES
from storage.summaries import (
    StudyKey,
    TrialSummary,
    best_ids,
    champion_id,
    epochs_column,
    external,
    find_study,
    joined,
    public_params,
    seconds_column,
    state_column,
    storable,
    stored_params,
    summaries,
    value_column,
)
from storage.tables import EpochRow, LeaseRow, TrialRow

__all__ = [
    "SORT_COLUMNS",
    "Epoch",
    "Position",
    "RunningTrial",
    "StudyOverview",
    "StudyStatus",
    "TrialDetail",
    "TrialSummary",
    "best",
    "number_of_objectives",
    "overview",
    "public_params",
    "status",
    "trial",
    "trials",
]

_COLUMNS: dict[str, Callable[[], Any]] = {
    "trial": lambda: TrialModel.number,
    "value": value_column,
    "state": state_column,
    "outcome": lambda: TrialRow.outcome,
    "epochs": epochs_column,
    "seconds": seconds_column,
}
SORT_COLUMNS = tuple(_COLUMNS)


@dataclass(frozen=True)
class Epoch:
    """One epoch of a trial. Plain Optuna studies have neither of its times.

    Attributes:
        epoch: number of the epoch, from 1; for plain Optuna studies, the reported step.
        metrics: metrics that the epoch logged, by name.
        seconds: duration of the epoch, in seconds.
        at: when the epoch ended, UTC.
    """

    epoch: int
    metrics: dict[str, float]
    seconds: float | None
    at: datetime | None


@dataclass(frozen=True)
class TrialDetail:
    """Everything known about one trial.

    Attributes:
        summary: the trial as the listings show it.
        curve: epochs of the trial, in order.
        started_at: when the trial started, UTC; None if that is not known.
        ended_at: when the trial ended, UTC; None while it has not ended.
        cause: what failures of the same kind have in common; None unless the trial failed.
        reason: why the trial ended as it did, in words; None if there is no special reason.
        traceback: Python traceback of the failure; None if there is none.
        best_epoch: the epoch of the summary's metrics, whose model is kept.
        parameters: number of the model's parameters; None before the trial has ended, and if no model was built.
        checkpoint: location of the model that is kept of the trial; None if none is kept.
        checkpoint_size: size of that model's file in bytes.
        checkpoint_sha256: SHA-256 of that file, in hexadecimal.
        log: location of the trial's log; None if there is none.
        attempts: how often the trial was started. Like ``worker`` and ``preset``, this is None for plain Optuna
            studies.
        worker: the worker that runs the trial, or ran it last.
        preset: hyperparameter values that were enqueued for the trial.
    """

    summary: TrialSummary
    curve: list[Epoch]
    started_at: datetime | None
    ended_at: datetime | None
    cause: str | None
    reason: str | None
    traceback: str | None
    best_epoch: int | None
    parameters: int | None
    checkpoint: str | None
    checkpoint_size: int | None
    checkpoint_sha256: str | None
    log: str | None
    attempts: int | None
    worker: str | None
    preset: dict[str, Any] | None


@dataclass(frozen=True)
class Position:
    """A place in a sorted list of trials: a trial's number, and its value of what is sorted by."""

    trial: int
    value: Any


def position_of(summary: TrialSummary, sort: str) -> Position:
    """Where one of ``trials`` stands in that order."""
    if sort in _COLUMNS:
        value = getattr(summary, sort)
        return Position(summary.trial, storable(value) if isinstance(value, float) else value)
    value = summary.params.get(sort, (summary.measures | summary.metrics).get(sort))
    return Position(summary.trial, None if isinstance(value, float) and isnan(value) else value)


def best(db: Database, study: str, k: int | None, usual: int | None = None) -> list[TrialSummary]:
    """The ``k`` best trials, the best first; ties by lower number. Values that are not finite do not count.

    They are complete, or pruned with the model of their best epoch kept.

    With several objectives they are of the Pareto front, the best by the leading objective first. Trials that break a
    constraint come after those that do not, and are on the front only if every trial does.

    Args:
        k: at most so many; None for all.
        usual: in place of None, for a study with one objective.

    Raises:
        UnknownStudy: there is none of this name.
    """
    with db.reading() as session:
        key = find_study(session, study)
        most = usual if k is None and len(key.maximize) == 1 else k
        return summaries(session, best_ids(session, key, most))


@dataclass(frozen=True)
class SinceBest:
    """The number of the best trial, and how many were complete or pruned after it."""

    number: int
    successes: int


def since_best(db: Database, study: str) -> SinceBest | None:
    """What followed the best trial that keeps the constraints, by the leading objective; None before there is one.

    Raises:
        UnknownStudy: there is none of this name; of a plain Optuna study nothing is known.
    """
    with db.reading() as session:
        champion = champion_id(session, find_study(session, study))
        best = None if champion is None else session.get(TrialRow, champion)
        if best is None:
            return None
        later = (TrialRow.closed_at > best.closed_at) | (
            (TrialRow.closed_at == best.closed_at) & (TrialRow.trial_id > best.trial_id)
        )
        counted = select(func.count()).where(TrialRow.study_id == best.study_id, TrialRow.outcome.in_(SUCCESSES), later)
        return SinceBest(best.number, session.scalars(counted).one())


def number_of_objectives(db: Database, study: str) -> int:
    """How many objectives a study has, plain Optuna studies included. Raises UnknownStudy."""
    with db.reading() as session:
        return len(find_study(session, study).maximize)


def trials(
    db: Database,
    study: str,
    *,
    state: str | None = None,
    outcome: str | None = None,
    sort: str = "trial",
    descending: bool = False,
    limit: int | None = None,
    after: Position | None = None,
) -> list[TrialSummary]:
    """Trials of a study.

    Args:
        state: only trials in this state, or with this outcome.
        outcome: only trials with this outcome.
        sort: one of ``SORT_COLUMNS``, a hyperparameter or a metric. Trials without it come last; ties by number.
        limit: at most this many.
        after: only trials that come after this one in that order.

    Raises:
        UnknownStudy: there is none of this name.
        UnknownColumn: nothing of the name ``sort`` in the study.
    """
    with db.reading() as session:
        key = find_study(session, study)
        conditions = [TrialModel.study_id == key.study_id]
        if state is not None:
            conditions.append(or_(state_column() == state, TrialRow.outcome == state))
        if outcome is not None:
            conditions.append(TrialRow.outcome == outcome)
        if sort in _COLUMNS:
            ids = _sorted_by_column(session, conditions, sort, descending, limit, after)
        else:
            ids = _sorted_by_name(session, key, conditions, sort, descending, after)[:limit]
        return summaries(session, ids)


def _sorted_by_column(
    session: Session,
    conditions: list[ColumnElement[bool]],
    sort: str,
    descending: bool,
    limit: int | None,
    after: Position | None,
) -> list[int]:
    column = _COLUMNS[sort]()
    if after is not None:
        conditions = [*conditions, _comes_after(column, after, descending)]
    order = column.desc() if descending else column.asc()
    listing = joined(TrialModel.trial_id).where(*conditions)
    return list(session.scalars(listing.order_by(column.is_(None), order, TrialModel.number).limit(limit)))


def _comes_after(column: Any, after: Position, descending: bool) -> ColumnElement[bool]:
    later = TrialModel.number > after.trial
    if after.value is None:
        return and_(column.is_(None), later)
    beyond = column < after.value if descending else column > after.value
    return or_(beyond, and_(column == after.value, later), column.is_(None))


def _sorted_by_name(
    session: Session,
    key: StudyKey,
    conditions: list[ColumnElement[bool]],
    name: str,
    descending: bool,
    after: Position | None,
) -> list[int]:
    """Sorts by a hyperparameter or metric, reading that one alone of every trial."""
    values = _param_values(session, key, name) or _metric_values(session, key, name)
    listing = joined(TrialModel.trial_id, TrialModel.number).where(*conditions).order_by(TrialModel.number)
    numbers = {trial_id: number for trial_id, number in session.execute(listing)}  # noqa: C416 - mypy: no pairs
    ids = list(numbers)
    if not values:
        if ids:
            raise UnknownColumn(name, _names(session, key))
        return ids
    present = [trial_id for trial_id in ids if trial_id in values]
    comparable = all(isinstance(values[each], int | float) for each in present)
    keys = {each: values[each] if comparable else str(values[each]) for each in present}
    present.sort(key=keys.__getitem__, reverse=descending)
    ordered = present + [trial_id for trial_id in ids if trial_id not in values]
    if after is None:
        return ordered
    passed = after if comparable or after.value is None else Position(after.trial, str(after.value))
    return [each for each in ordered if _is_beyond(Position(numbers[each], keys.get(each)), passed, descending)]


def _is_beyond(here: Position, after: Position, descending: bool) -> bool:
    """``_comes_after`` of values in memory."""
    if here.value is None or here.value == after.value:
        return (after.value is not None and here.value is None) or here.trial > after.trial
    if after.value is None:
        return False
    return bool(here.value < after.value if descending else here.value > after.value)


def _param_values(session: Session, key: StudyKey, name: str) -> dict[int, Any]:
    conditional = TrialParamModel.param_name.startswith(f"{name}[", autoescape=True)
    rows = session.execute(
        stored_params()
        .join(TrialModel, TrialModel.trial_id == TrialParamModel.trial_id)
        .where(
            TrialModel.study_id == key.study_id,
            or_(TrialParamModel.param_name == name, conditional),
        )
    )
    return {
        trial_id: external(distribution, value)
        for trial_id, stored, value, distribution in rows
        if name in public_params({stored: value})
    }


def _metric_values(session: Session, key: StudyKey, name: str) -> dict[int, Any]:
    columns = select(TrialRow.trial_id, TrialRow.metrics, TrialRow.measures).where(TrialRow.study_id == key.study_id)
    rows = session.execute(columns)
    values = {trial_id: ((measures or {}) | (metrics or {})).get(name) for trial_id, metrics, measures in rows}
    # NaN has no place in an order.
    return {trial_id: value for trial_id, value in values.items() if value is not None and not isnan(value)}


def _names(session: Session, key: StudyKey) -> list[str]:
    params = session.scalars(
        select(TrialParamModel.param_name)
        .join(TrialModel, TrialModel.trial_id == TrialParamModel.trial_id)
        .where(TrialModel.study_id == key.study_id)
        .distinct()
    )
    columns = select(TrialRow.metrics, TrialRow.measures).where(TrialRow.study_id == key.study_id)
    latest = session.execute(columns.order_by(TrialRow.closed_at.desc()).limit(1)).first()
    logged = {**(latest.metrics or {}), **(latest.measures or {})} if latest else {}
    return [*SORT_COLUMNS, *sorted(public_params(dict.fromkeys(params))), *sorted(logged)]


def trial(db: Database, study: str, number: int) -> TrialDetail:
    """Everything about one trial.

    Raises:
        UnknownStudy: there is none of this name.
        UnknownTrial: the study has no trial of this number.
    """
    with db.reading() as session:
        key = find_study(session, study)
        ours = TrialModel.study_id == key.study_id
        row = session.execute(joined(TrialModel, TrialRow, LeaseRow).where(ours, TrialModel.number == number)).first()
        if row is None:
            count = session.scalars(select(func.count(TrialModel.trial_id)).where(ours)).one()
            raise UnknownTrial(study, number, count)
        return _detail(session, *row)


def _detail(session: Session, stored: Any, result: TrialRow | None, lease: LeaseRow | None) -> TrialDetail:
    return TrialDetail(
        summary=summaries(session, [stored.trial_id])[0],
        curve=_curve(session, stored.trial_id),
        started_at=aware(stored._datetime_start_utc),
        ended_at=result.closed_at if result else aware(stored._datetime_complete_utc),
        cause=result.cause if result else None,
        reason=result.reason if result else None,
        traceback=result.traceback if result else None,
        best_epoch=result.best_epoch if result else None,
        parameters=result.parameters if result else None,
        checkpoint=result.checkpoint if result else None,
        checkpoint_size=result.checkpoint_size if result else None,
        checkpoint_sha256=result.checkpoint_sha256 if result else None,
        log=result.log if result else None,
        attempts=lease.attempts if lease else None,
        worker=lease.worker_id if lease else None,
        preset=lease.preset if lease else None,
    )


def _curve(session: Session, trial_id: int) -> list[Epoch]:
    rows = session.scalars(select(EpochRow).where(EpochRow.trial_id == trial_id).order_by(EpochRow.epoch))
    curve = [Epoch(row.epoch, row.metrics, row.seconds, row.at) for row in rows]
    return curve or _reported(session, trial_id)


def _reported(session: Session, trial_id: int) -> list[Epoch]:
    model = TrialIntermediateValueModel
    steps = session.execute(
        select(model.step, model.intermediate_value, model.intermediate_value_type)
        .where(model.trial_id == trial_id)
        .order_by(model.step)
    )
    decoded = ((step, model.stored_repr_to_intermediate_value(*stored)) for step, *stored in steps)
    return [Epoch(step, {"value": value}, None, None) for step, value in decoded]


def aware(stored: datetime | None) -> datetime | None:
    """A time as Optuna stores it, UTC."""
    return None if stored is None else stored.replace(tzinfo=UTC)
