"""Trials in short: Optuna's rows joined with ours. Works on plain Optuna studies too.

Optuna's table models are private; setup.cfg pins the minor version that they are of, and the tests hold queries to
Optuna's public answers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb.models import (
    StudyDirectionModel,
    StudyModel,
    TrialIntermediateValueModel,
    TrialModel,
    TrialParamModel,
    TrialValueModel,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from storage.columns import database_clock, seconds_between
from storage.errors import UnknownStudy
from storage.parameter_names import SAMPLERS_VIEW, without_scope
from storage.ranking import Standing, front
from storage.results import SUCCESSES
from storage.studies import has_constraints
from storage.tables import EpochRow, LeaseRow, StudyRow, TrialRow

_CHUNK = 500
_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class TrialSummary:
    """One trial.

    Attributes:
        trial: number of the trial.
        value: value of the objective, over the best epoch and its neighbour; for a trial that is not complete, of the
            epochs that it trained.
        state: ``complete``, ``pruned``, ``failed``, ``running``, ``paused`` until it is promoted or ends as pruned, or
            ``waiting`` to be continued.
        outcome: how exactly the trial ended; None while it has not ended, and for plain Optuna studies.
        params: values of the hyperparameters by their public names.
        metrics: metrics of the best epoch.
        epochs: number of trained epochs (for plain Optuna studies: of reported steps).
        seconds: wall time of training (for plain Optuna studies: from start to end).
        measures: the value of every objective and constraint by name; empty for one objective without constraints.
        violation: how far the trial is beyond the constraints, in shares of their bounds; 0 if it keeps them, None if
            there are none.
    """

    trial: int
    value: float | None
    state: str
    outcome: str | None
    params: dict[str, Any]
    metrics: dict[str, float]
    epochs: int
    seconds: float | None
    measures: dict[str, float] = field(default_factory=dict)
    violation: float | None = None


@dataclass(frozen=True)
class StudyKey:
    """A study as queries need it; ``row`` is None for a plain Optuna study.

    Attributes:
        maximize: of each objective, in order, whether more is better.
    """

    study_id: int
    name: str
    maximize: tuple[bool, ...]
    row: StudyRow | None

    @property
    def constrained(self) -> bool:
        """Whether its trials may break constraints. Optuna's own are not told to anybody here."""
        return self.row is not None and has_constraints(self.row.spec)


def public_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters as people know them.

    See ``storage.parameter_names``: scopes are left out, and so is what only samplers see.
    """
    shown = {name: value for name, value in params.items() if not name.endswith(SAMPLERS_VIEW)}
    return {without_scope(name): value for name, value in shown.items()}


def find_study(session: Session, name: str) -> StudyKey:
    """The study of this name, plain Optuna studies included.

    Raises:
        UnknownStudy: there is none.
    """
    found = session.execute(
        select(StudyModel.study_id, StudyDirectionModel.direction, StudyModel.study_name)
        .join(StudyDirectionModel, StudyDirectionModel.study_id == StudyModel.study_id)
        .where(StudyModel.study_name == name)
        .order_by(StudyDirectionModel.objective)
    ).all()
    # MySQL compares the names in Optuna's tables without regard to case.
    ours = [row for row in found if row.study_name == name]
    if ours:
        study_id = ours[0].study_id
        maximize = tuple(row.direction is StudyDirection.MAXIMIZE for row in ours)
        return StudyKey(study_id, name, maximize, session.get(StudyRow, study_id))
    raise UnknownStudy(name, list(session.scalars(select(StudyModel.study_name))))


def joined(*columns: Any) -> Select[Any]:
    """Those columns of every trial, from Optuna's rows and, where there are any, ours."""
    return (
        select(*columns)
        .select_from(TrialModel)
        .outerjoin(
            TrialValueModel,
            and_(TrialValueModel.trial_id == TrialModel.trial_id, TrialValueModel.objective == 0),
        )
        .outerjoin(TrialRow, TrialRow.trial_id == TrialModel.trial_id)
        .outerjoin(LeaseRow, LeaseRow.trial_id == TrialModel.trial_id)
    )


def state_column() -> ColumnElement[str]:
    """``TrialSummary.state`` in SQL."""
    running = TrialModel.state == TrialState.RUNNING
    unheld = or_(LeaseRow.state != "held", LeaseRow.expires_at <= database_clock())
    return case(
        (TrialModel.state == TrialState.COMPLETE, "complete"),
        (TrialModel.state == TrialState.PRUNED, "pruned"),
        (TrialModel.state == TrialState.FAIL, "failed"),
        # Closed, but its worker has not told Optuna yet.
        (and_(running, TrialRow.outcome.in_(SUCCESSES)), TrialRow.outcome),
        (and_(running, TrialRow.outcome.is_not(None)), "failed"),
        (and_(running, LeaseRow.state == "paused"), "paused"),
        (and_(running, or_(LeaseRow.id.is_(None), ~unheld)), "running"),
        else_="waiting",
    )


def value_column() -> ColumnElement[float | None]:
    """``TrialSummary.value`` in SQL, to sort by; infinities are the largest finite numbers."""
    kind = TrialValueModel.value_type
    return case(
        (kind == TrialValueModel.TrialValueType.INF_POS, _LARGEST),
        (kind == TrialValueModel.TrialValueType.INF_NEG, -_LARGEST),
        else_=func.coalesce(TrialRow.value, TrialValueModel.value),
    )


def epochs_column() -> ColumnElement[int]:
    """``TrialSummary.epochs`` in SQL."""
    stored = select(func.count()).where(EpochRow.trial_id == TrialModel.trial_id)
    steps = select(func.count()).where(TrialIntermediateValueModel.trial_id == TrialModel.trial_id)
    return func.coalesce(TrialRow.epochs, func.nullif(stored.scalar_subquery(), 0), steps.scalar_subquery())


def seconds_column() -> ColumnElement[float | None]:
    """``TrialSummary.seconds`` in SQL."""
    stored = select(func.sum(EpochRow.seconds)).where(EpochRow.trial_id == TrialModel.trial_id)
    start, end = TrialModel._datetime_start_utc, TrialModel._datetime_complete_utc
    return func.coalesce(TrialRow.seconds, stored.scalar_subquery(), seconds_between(start, end))


def best_ids(session: Session, study: StudyKey, k: int | None) -> list[int]:
    """Ids of the ``k`` best trials that rank, the best first; ties by lower number. Finite values only.

    With several objectives: of the Pareto front. Trials that keep the constraints come before those that do not.
    """
    worth = _by_worth(study.maximize, study.constrained, study.row is not None)
    ours = {"study": study.study_id}
    if len(study.maximize) == 1:
        return list(session.scalars(worth.ids.limit(k), ours))
    violation = _violation() if study.constrained else literal(0.0)
    rows = session.execute(worth.ids.add_columns(TrialModel.number, violation, *worth.values), ours).all()
    standings = [
        Standing(trial_id, number, _turned(study, each), violation) for trial_id, number, violation, *each in rows
    ]
    return [each.id for each in front(standings)[:k]]


def champion_id(session: Session, study: StudyKey) -> int | None:
    """Id of the first of ``best_ids``, read alone; None if no trial that ranks keeps the constraints."""
    ids = _by_worth(study.maximize, study.constrained, study.row is not None).ids
    keeping = ids.where(_violation() <= 0) if study.constrained else ids
    return session.scalars(keeping.limit(1), {"study": study.study_id}).first()


class _Worth(NamedTuple):
    """Ids of the trials of the study ``study`` that rank, with finite values, in the order of ``Standing``."""

    ids: Select[Any]
    values: tuple[Any, ...]


# Putting a statement together costs more than its answer.
@lru_cache
def _by_worth(maximize: tuple[bool, ...], constrained: bool, ours: bool) -> _Worth:
    statement = select(TrialModel.trial_id).where(
        TrialModel.study_id == bindparam("study"), ranks() if ours else TrialModel.state == TrialState.COMPLETE
    )
    values, orders = [], []
    if constrained:
        # It takes as long as all the rest.
        statement = statement.outerjoin(TrialRow, TrialRow.trial_id == TrialModel.trial_id)
        orders.append(_violation().asc())
    for objective, more in enumerate(maximize):
        stored = aliased(TrialValueModel)
        same = and_(stored.trial_id == TrialModel.trial_id, stored.objective == objective)
        # PostgreSQL holds NaN above every number, SQLite stores it as NULL: the bounds leave both out.
        finite = and_(
            stored.value_type == TrialValueModel.TrialValueType.FINITE, stored.value.between(-_LARGEST, _LARGEST)
        )
        statement = statement.join(stored, same).where(finite)
        values.append(stored.value)
        orders.append(stored.value.desc() if more else stored.value.asc())
    return _Worth(statement.order_by(*orders, TrialModel.number), tuple(values))


def ranks() -> ColumnElement[bool]:
    """Whether a trial of the study ``study`` is ranked: it is complete, or pruned with its best epoch's model kept."""
    kept = select(TrialRow.trial_id).where(
        TrialRow.study_id == bindparam("study"), TrialRow.outcome == "pruned", TrialRow.checkpoint.is_not(None)
    )
    pruned = and_(TrialModel.state == TrialState.PRUNED, TrialModel.trial_id.in_(kept))
    return or_(TrialModel.state == TrialState.COMPLETE, pruned)


def _violation() -> ColumnElement[float]:
    return func.coalesce(TrialRow.violation, 0.0)


def _turned(study: StudyKey, values: Sequence[float]) -> tuple[float, ...]:
    return tuple(-each if maximize else each for maximize, each in zip(study.maximize, values, strict=True))


def summaries(session: Session, ids: Sequence[int]) -> list[TrialSummary]:
    """The trials of these ids, in their order."""
    found: dict[int, TrialSummary] = {}
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        params = _params(session, chunk)
        for row in session.execute(_summary_rows(), {"ids": chunk}):
            found[row.trial_id] = TrialSummary(
                trial=row.number,
                value=with_infinities(row.value),
                state=row.state,
                outcome=row.outcome,
                params=public_params(params.get(row.trial_id, {})),
                metrics=row.metrics or {},
                epochs=row.epochs,
                seconds=row.seconds,
                measures=row.measures or {},
                violation=row.violation,
            )
    return [found[trial_id] for trial_id in ids]


@cache
def _summary_rows() -> Select[Any]:
    """What is told of the trials ``ids``."""
    return joined(
        TrialModel.trial_id,
        TrialModel.number,
        value_column().label("value"),
        state_column().label("state"),
        TrialRow.outcome,
        TrialRow.metrics,
        epochs_column().label("epochs"),
        seconds_column().label("seconds"),
        TrialRow.measures,
        TrialRow.violation,
    ).where(TrialModel.trial_id.in_(bindparam("ids", expanding=True)))


def storable(value: float) -> float:
    """As ``value_column`` has it: infinities are the largest finite numbers."""
    return max(-_LARGEST, min(_LARGEST, value))


def with_infinities(value: Any) -> Any:
    """A value of ``value_column``: the largest finite numbers are infinities."""
    if value is not None and abs(value) >= _LARGEST:
        return float("inf") if value > 0 else float("-inf")
    return value


def _params(session: Session, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    rows = session.execute(_params_of_trials(), {"ids": ids})
    params: dict[int, dict[str, Any]] = {}
    for trial_id, name, value, distribution in rows:
        params.setdefault(trial_id, {})[name] = external(distribution, value)
    return params


@cache
def _params_of_trials() -> Select[Any]:
    """``stored_params`` of the trials ``ids``."""
    ours = TrialParamModel.trial_id.in_(bindparam("ids", expanding=True))
    return stored_params().where(ours).order_by(TrialParamModel.param_id)


def stored_params() -> Select[Any]:
    """Trial, name, value and distribution of hyperparameters, as Optuna stores them."""
    model = TrialParamModel
    return select(model.trial_id, model.param_name, model.param_value, model.distribution_json)


def external(distribution: str, value: float) -> Any:
    """A hyperparameter's value from how Optuna stores it."""
    return distribution_of(distribution).to_external_repr(value)


@lru_cache(maxsize=4096)
def distribution_of(text: str) -> BaseDistribution:
    """A distribution from how Optuna stores it; a study has few different ones."""
    return json_to_distribution(text)
