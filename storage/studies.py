"""Studies: their records, their states and their budgets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from optuna.exceptions import DuplicatedStudyError
from optuna.storages._rdb.models import StudySystemAttributeModel, TrialModel
from optuna.study import StudyDirection
from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES as METRIC_NAMES
from sqlalchemy import and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.columns import database_clock
from storage.database import Database, retried
from storage.errors import StudyExists, UnknownStudy
from storage.tables import LeaseRow, StudyRow, WorkerRow
from storage.translation import optuna_errors

StudyState = Literal["running", "stopping", "stopped", "finished", "failed"]


@dataclass(frozen=True)
class StudyRecord:
    """What a study is and where it stands.

    Attributes:
        study_id: Optuna's id.
        objectives: ``{"metric", "direction"}`` each, direction ``"maximize"`` or ``"minimize"``.
        summary: what is known about the data.
        fingerprint: of the data.
        artifacts: the place of its files.
        reason: why it is in its state, if there is something to say.
        budget: how many trials it shall have: the number of its leases.
        created_at: by the database's clock, UTC.
        deadline: no trial starts after it, and running ones end with their epoch; by the database's clock, UTC.
        versions: of the software that launched it.
        space: its hyperparameters, as explored.
    """

    study_id: int
    name: str
    spec: Any
    summary: Any
    fingerprint: str
    artifacts: str
    objectives: Any
    state: StudyState
    reason: str | None
    budget: int
    created_at: datetime
    deadline: datetime | None
    versions: Any
    space: Any


def create_study(
    db: Database,
    name: str,
    *,
    objectives: Sequence[Mapping[str, str]],
    spec: Mapping[str, Any],
    summary: Mapping[str, Any],
    fingerprint: str,
    artifacts: str,
    budget: int,
    timeout: float | None = None,
    versions: Mapping[str, str],
    space: Any,
    presets: Sequence[Mapping[str, Any]] = (),
    write_files: Callable[[], None] | None = None,
) -> StudyRecord:
    """Creates a study with its leases, in state ``running``.

    Optuna's study comes first, ours in one transaction after it. A crash in between leaves an Optuna study without
    trials or record, which the next call with this name completes. Of two racing callers one wins.

    Args:
        objectives: ``{"metric", "direction"}`` each.
        budget: number of trials, at least 1.
        timeout: seconds from now, by the database's clock, after which no trial starts.
        presets: hyperparameter values to try in the trial of the lease with the same ordinal; empty means none.
        write_files: writes the study's first files, and may be called again. It is called once the name is the
            caller's, and before anybody can see the study: what it raises undoes the creation.

    Raises:
        StudyExists: the name is taken, also by a plain Optuna study with trials or with other directions.
        ValueError: no budget, or more presets than budget.
    """
    if budget < 1 or len(presets) > budget:
        raise ValueError(f"a budget of {budget} with {len(presets)} presets")
    study_id = _optuna_study(db, name, [each["direction"] for each in objectives])
    row = {
        "study_id": study_id,
        "name": name,
        "spec": dict(spec),
        "summary": dict(summary),
        "fingerprint": fingerprint,
        "artifacts": artifacts,
        "objectives": [dict(each) for each in objectives],
        "state": "running",
        "budget": budget,
        "deadline": _from_now(timeout),
        "versions": dict(versions),
        "space": space,
    }
    try:
        _insert(db, row, presets, write_files)
    except IntegrityError:
        raise StudyExists(name) from None
    return load_study(db, name)


@retried
def _insert(
    db: Database,
    row: dict[str, Any],
    presets: Sequence[Mapping[str, Any]],
    write_files: Callable[[], None] | None,
) -> None:
    with db.writing() as session:
        if session.scalar(select(exists().where(TrialModel.study_id == row["study_id"]))):
            raise StudyExists(row["name"], " as an Optuna study with trials")
        session.execute(insert(StudyRow).values(**row, created_at=db.now()))
        _name_metrics(session, row["study_id"], [each["metric"] for each in row["objectives"]])
        _add_leases(session, row["study_id"], range(row["budget"]), presets)
        # Last: of several callers only the one whose rows are there has come so far.
        if write_files is not None:
            write_files()


def _name_metrics(session: Session, study_id: int, metrics: Sequence[str]) -> None:
    """As Optuna does, but in the caller's transaction: a study that turns out to be somebody else's keeps its names."""
    attributes = (StudySystemAttributeModel.study_id == study_id, StudySystemAttributeModel.key == METRIC_NAMES)
    session.execute(delete(StudySystemAttributeModel).where(*attributes))
    named = {"study_id": study_id, "key": METRIC_NAMES, "value_json": json.dumps(list(metrics))}
    session.execute(insert(StudySystemAttributeModel).values(named))


def _optuna_study(db: Database, name: str, directions: list[str]) -> int:
    wanted = [StudyDirection[each.upper()] for each in directions]
    with optuna_errors(db.url):
        try:
            return db.optuna.create_new_study(wanted, name)
        except DuplicatedStudyError:
            study_id = db.optuna.get_study_id_from_name(name)
        if db.optuna.get_study_directions(study_id) != wanted:
            raise StudyExists(name, " with other directions")
    return study_id


def _add_leases(session: Session, study_id: int, ordinals: range, presets: Sequence[Mapping[str, Any]] = ()) -> None:
    rows = []
    for ordinal in ordinals:
        preset = dict(presets[ordinal]) if ordinal < len(presets) else {}
        rows.append(
            {
                "study_id": study_id,
                "ordinal": ordinal,
                "state": "open",
                "rank": 1 if preset else 2,
                "token": 0,
                "attempts": 0,
                "preset": preset or None,
            }
        )
    if rows:
        session.execute(insert(LeaseRow), rows)


def load_study(db: Database, name: str) -> StudyRecord:
    """The study of this name.

    Raises:
        UnknownStudy: there is none; a plain Optuna study counts as none.
    """
    with db.reading() as session:
        row = session.scalar(select(StudyRow).where(StudyRow.name == name))
        if row is None:
            raise UnknownStudy(name, list(session.scalars(select(StudyRow.name))))
        return record_of(row)


def list_studies(db: Database) -> list[StudyRecord]:
    """Every study, the newest first."""
    with db.reading() as session:
        newest_first = select(StudyRow).order_by(StudyRow.study_id.desc())
        return [record_of(row) for row in session.scalars(newest_first)]


@retried
def set_state(
    db: Database,
    study_id: int,
    state: StudyState,
    reason: str | None = None,
    only_from: Sequence[StudyState] | None = None,
) -> bool:
    """Sets the state and its reason, if the study is in one of ``only_from`` (None: any). Says whether it did."""
    allowed = get_args(StudyState) if only_from is None else only_from
    change = (
        update(StudyRow)
        .where(StudyRow.study_id == study_id, StudyRow.state.in_(allowed))
        .values(state=state, reason=reason)
    )
    with db.writing() as session:
        return _changed(session, change)


def request_stop(db: Database, name: str) -> StudyState:
    """Asks a running study's workers to leave; a study without any is stopped at once. Gives its state then.

    Raises:
        UnknownStudy: there is none of this name.
    """
    study_id = load_study(db, name).study_id
    set_state(db, study_id, "stopping", "stop was requested", only_from=("running",))
    settle_stopping(db, study_id)
    return load_study(db, name).state


@retried
def settle_stopping(db: Database, study_id: int) -> bool:
    """Turns ``stopping`` into ``stopped`` once no worker holds a lease. Says whether it did."""
    held = exists().where(LeaseRow.study_id == study_id, LeaseRow.state == "held", LeaseRow.expires_at > db.now())
    settled = (
        update(StudyRow)
        .where(StudyRow.study_id == study_id, StudyRow.state == "stopping", ~held)
        .values(state="stopped")
    )
    with db.writing() as session:
        return _changed(session, settled)


@retried
def finish_if_done(db: Database, study_id: int) -> bool:
    """Ends a running study whose leases are all closed. Says whether it did."""
    with db.writing() as session:
        # Locked as by `raise_budget`: leases that it adds are seen here, or it sees that the study has ended.
        study = _locked(session, study_id)
        left = select(exists().where(LeaseRow.study_id == study_id, LeaseRow.state != "closed"))
        if study.state != "running" or session.scalar(left):
            return False
        study.state, study.reason = "finished", None
        return True


@retried
def take_up(
    db: Database, study_id: int, *, spec: Mapping[str, Any] | None = None, budget: int = 0, timeout: float | None
) -> bool:
    """Takes a study up again with what its spec says now, if part of its budget is left. Says whether any is.

    Args:
        spec: in place of the stored one.
        budget: as for ``raise_budget``.
        timeout: seconds from now, by the database's clock, in place of the former deadline.
    """
    with db.writing() as session:
        _raised(session, study_id, budget)
        if spec is not None:
            session.execute(update(StudyRow).where(StudyRow.study_id == study_id).values(spec=dict(spec)))
        left = exists().where(LeaseRow.study_id == study_id, LeaseRow.state != "closed")
        again = (
            update(StudyRow)
            .where(StudyRow.study_id == study_id, left)
            .values(state="running", reason=None, deadline=_from_now(timeout))
        )
        return _changed(session, again)


@retried
def raise_budget(db: Database, study_id: int, budget: int, spec: Mapping[str, Any] | None = None) -> int:
    """Adds open leases up to ``budget``; says how many. Exact also when several callers raise it at once.

    A budget that is not above the present one changes nothing.

    Args:
        spec: in place of the stored one, if the budget is raised.
    """
    with db.writing() as session:
        added = _raised(session, study_id, budget)
        if added and spec is not None:
            session.execute(update(StudyRow).where(StudyRow.study_id == study_id).values(spec=dict(spec)))
        return added


@retried
def withdraw_unbegun(db: Database, study_id: int) -> int:
    """Takes the trials that have not begun away from a study; says how many. ``raise_budget`` adds them again.

    Those whose configuration somebody has asked for stay.
    """
    unbegun = and_(LeaseRow.state == "open", LeaseRow.trial_id.is_(None), LeaseRow.rank == 2)
    with db.writing() as session:
        _locked(session, study_id)
        # The others keep the ordinals from 0 on, so that those that are added again come behind them.
        last = session.scalar(select(func.max(LeaseRow.ordinal)).where(LeaseRow.study_id == study_id, ~unbegun))
        behind = LeaseRow.ordinal > (-1 if last is None else last)
        gone = session.connection().execute(delete(LeaseRow).where(LeaseRow.study_id == study_id, unbegun, behind))
        return int(gone.rowcount)


def _raised(session: Session, study_id: int, budget: int) -> int:
    study = _locked(session, study_id)
    present = session.scalars(select(func.count()).select_from(LeaseRow).where(LeaseRow.study_id == study_id)).one()
    if budget <= present:
        return 0
    _add_leases(session, study_id, range(present, budget))
    study.budget = budget
    session.flush()
    return budget - present


@retried
def restore(db: Database, before: StudyRecord, after: StudyRecord, since: datetime) -> bool:
    """Gives a study back the state, spec, budget and deadline that it had before ``take_up``. Says whether it did.

    It does nothing if anybody has worked on the study or changed it since, or enqueued something in it.

    Args:
        before: the study as it was.
        after: the study as it was taken up.
        since: when that was, by the database's clock.
    """
    with db.writing() as session:
        study = _locked(session, before.study_id)
        of_study = LeaseRow.study_id == before.study_id
        added = (of_study, LeaseRow.ordinal >= before.budget)
        begun = (LeaseRow.state != "open", LeaseRow.attempts > 0, LeaseRow.rank != 2)
        hindrances = (
            exists().where(WorkerRow.study_id == before.study_id, WorkerRow.started_at >= since),
            exists().where(*added, or_(*begun)),
            exists().where(of_study, LeaseRow.acquired_at >= since),
        )
        if _changing(record_of(study)) != _changing(after) or any(session.scalar(select(each)) for each in hindrances):
            return False
        session.execute(delete(LeaseRow).where(*added))
        study.spec, study.budget, study.deadline = before.spec, before.budget, before.deadline
        study.state, study.reason = before.state, before.reason
        return True


def _changing(record: StudyRecord) -> tuple[Any, ...]:
    return record.state, record.reason, record.spec, record.budget, record.deadline


def _locked(session: Session, study_id: int) -> StudyRow:
    return session.scalars(select(StudyRow).where(StudyRow.study_id == study_id).with_for_update()).one()


@retried
def list_space(db: Database, study_id: int, hyperparameters: Sequence[Mapping[str, Any]]) -> None:
    """Notes a study's hyperparameters, which only its models could tell when it was created."""
    with db.writing() as session:
        study = _locked(session, study_id)
        study.space = {**study.space, "hyperparameters": [dict(each) for each in hyperparameters]}


def priority_of(spec: Mapping[str, Any]) -> int:
    """Of a study's stored spec. Older versions of this software stored none."""
    return int(spec.get("priority", 0))


def has_constraints(spec: Mapping[str, Any]) -> bool:
    """Whether a study's stored spec bounds what its trials are measured by."""
    return bool(spec.get("constraints"))


def _from_now(timeout: float | None) -> database_clock | None:
    return None if timeout is None else database_clock(timeout)


def _changed(session: Session, statement: Any) -> bool:
    return bool(session.connection().execute(statement).rowcount)


def record_of(row: StudyRow) -> StudyRecord:
    """The record of a row that the caller has read."""
    return StudyRecord(**{name: getattr(row, name) for name in StudyRecord.__dataclass_fields__})
