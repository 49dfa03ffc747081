"""Databases as older versions of this software left them, with a study's data in them."""

from __future__ import annotations

from typing import Any

import optuna
from sqlalchemy import text

from storage import schema
from storage.database import Database
from storage.urls import parse_url

_AT = "2026-01-02 03:04:05.000006"
_ROWS: dict[str, dict[str, Any]] = {
    "tuner_studies": {
        "study_id": 1,
        "name": "old",
        "spec": '{"trials": 1}',
        "summary": "{}",
        "fingerprint": "f" * 64,
        "artifacts": "artifacts",
        "objectives": '[{"metric": "val_accuracy", "direction": "maximize"}]',
        "state": "running",
        "budget": 1,
        "created_at": _AT,
        "versions": '{"keras": "3"}',
        "space": '{"hyperparameters": []}',
    },
    "tuner_leases": {
        "id": 1,
        "study_id": 1,
        "ordinal": 0,
        "state": "closed",
        "rank": 2,
        "token": 1,
        "attempts": 1,
        "trial_id": 1,
        "number": 0,
        "worker_id": "host:1:a",
    },
    "tuner_trials": {
        "trial_id": 1,
        "study_id": 1,
        "number": 0,
        "lease_id": 1,
        "outcome": "complete",
        "value": 0.75,
        "best_epoch": 1,
        "metrics": '{"val_accuracy": 0.75}',
        "epochs": 1,
        "seconds": 2.5,
        "checkpoint": "trials/00000/best.keras",
        "closed_at": _AT,
    },
    "tuner_workers": {
        "id": "host:1:a",
        "study_id": 1,
        "host": "host",
        "pid": 1,
        "slots": 1,
        "gpus": "[]",
        "version": "0.1",
        "started_at": _AT,
        "seen_at": _AT,
        "left_at": _AT,
    },
    "tuner_epochs": {
        "trial_id": 1,
        "epoch": 1,
        "study_id": 1,
        "metrics": '{"val_accuracy": 0.75}',
        "seconds": 2.5,
        "at": _AT,
    },
    "tuner_champions": {
        "id": 1,
        "study_id": 1,
        "number": 0,
        "version": 1,
        "path": "champion",
        "value": 0.75,
        "verification": "{}",
        "created_at": _AT,
    },
}


def make_first_schema(url: str) -> Database:
    """A database of revision 0001 with a row in every table, which only that revision's migration has touched."""
    database = Database(parse_url(url))
    study = optuna.create_study(study_name="old", storage=database.rdb, direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=0.75))
    schema._migrate(database, "0001")
    with database.writing() as session:
        for table, values in _ROWS.items():
            columns = [session.bind.dialect.identifier_preparer.quote(name) for name in values]  # type: ignore[union-attr]
            names, marks = ", ".join(columns), ", ".join(f":{name}" for name in values)
            session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)
    return database


def stored_rows(database: Database) -> dict[str, dict[str, Any]]:
    """The row of every table, with the columns that revision 0001 has, as the driver gives them."""
    with database.reading() as session:
        quote = session.bind.dialect.identifier_preparer.quote  # type: ignore[union-attr]
        return {
            table: dict(
                session.execute(text(f"SELECT {', '.join(quote(name) for name in values)} FROM {table}"))
                .mappings()
                .one()
            )
            for table, values in _ROWS.items()
        }
