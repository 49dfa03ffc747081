"""Studies as a search leaves them, written at once: training them would take hours."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages._rdb.models import BaseModel
from optuna.trial import TrialState
from sqlalchemy import bindparam, func, select, update

from storage import leases, studies, workers
from storage.connecting import connect
from storage.database import Database
from storage.leases import Lease
from storage.studies import StudyRecord
from storage.tables import EpochRow, LeaseRow, TrialRow

ACCURACY = {"metric": "val_accuracy", "direction": "maximize"}
SIZE = {"metric": "parameters", "direction": "minimize"}
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "units": IntDistribution(8, 512),
    "dropout": FloatDistribution(0, 0.6),
    "optimizer": CategoricalDistribution(["adam", "sgd", "rmsprop"]),
    "momentum[optimizer=sgd]": FloatDistribution(0, 0.99),
}
_KINDS = {name: distribution_to_json(each) for name, each in SPACE.items()}
_EPOCHS = 8


def database_of_a_study(folder: Path) -> str:
    """The URL of a new SQLite database with a study ``digits`` of three trials that have not begun."""
    url = f"sqlite:///{folder}/tuner.db"
    database = connect(url, create=True)
    described: dict[str, Any] = {"spec": {}, "summary": {}, "versions": {}, "space": {"hyperparameters": []}}
    studies.create_study(
        database, "digits", objectives=[ACCURACY], fingerprint="f", artifacts="a", budget=3, **described
    )
    database.close()
    return url


def new_study(
    database: Database, name: str, budget: int, *objectives: dict[str, str], artifacts: str = "artifacts"
) -> StudyRecord:
    """A study that nobody works on yet."""
    spec = {
        "study": name,
        "data": {"kind": "image_directory", "path": "/data/digits", "image_size": [16, 16]},
        "space": "image",
        "objective": "val_accuracy",
        "trials": budget,
        "training": {"epochs": _EPOCHS},
    }
    return studies.create_study(
        database,
        name,
        budget=budget,
        objectives=list(objectives or (ACCURACY,)),
        spec=spec,
        summary={"kind": "image_directory"},
        fingerprint="f" * 64,
        artifacts=artifacts,
        versions={"keras": "3.15.1"},
        space={"hyperparameters": []},
    )


def finish_trials(database: Database, record: StudyRecord, count: int) -> None:
    """The study's first trials have ended: most complete, some pruned, diverged or failed."""
    draw, began = random.Random(record.name), datetime.now(UTC) - timedelta(seconds=40 * count)
    tables = BaseModel.metadata.tables
    with database.writing() as session:
        last = session.scalar(select(func.max(tables["trials"].c.trial_id))) or 0
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in (*_OPTUNA, "epochs", "results", "leases")}
        ids = dict(
            session.execute(select(LeaseRow.ordinal, LeaseRow.id).where(LeaseRow.study_id == record.study_id)).all()
        )
        ordered = sorted(ids.values())
        for number in range(count):
            _add_trial(rows, record, last + 1 + number, number, ordered[number], draw, began)
        for name in _OPTUNA:
            if rows[name]:
                session.execute(tables[name].insert(), rows[name])
        session.execute(EpochRow.__table__.insert(), rows["epochs"])
        closed = update(LeaseRow.__table__).where(LeaseRow.__table__.c.id == bindparam("lease"))
        session.connection().execute(
            closed.values(state="closed", attempts=1, token=1, trial_id=bindparam("trial"), number=bindparam("place")),
            rows["leases"],
        )
        session.execute(TrialRow.__table__.insert(), rows["results"])


_OPTUNA = ("trials", "trial_params", "trial_values", "trial_intermediate_values")
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}


def _add_trial(
    rows: dict[str, list[dict[str, Any]]],
    record: StudyRecord,
    id: int,
    number: int,
    lease: int,
    draw: random.Random,
    began: datetime,
) -> None:
    outcome = draw.choices(("complete", "pruned", "diverged", "failed"), (70, 22, 4, 4))[0]
    params = {name: _drawn(draw, each) for name, each in SPACE.items()}
    if params["optimizer"] != 1:
        del params["momentum[optimizer=sgd]"]
    rate = params["learning_rate"]
    top = 0.97 - 0.05 * (math.log10(rate) + 3) ** 2 - 0.3 * params["dropout"] ** 2 - draw.random() * 0.08
    top = min(0.995, max(0.1, top))
    start = began + timedelta(seconds=40 * number)
    epochs = {"complete": _EPOCHS, "pruned": 3, "diverged": 2, "failed": 1}[outcome]
    curve = [top * (1 - 0.6**epoch) for epoch in range(1, epochs + 1)]
    size = int(params["units"] * 300 + 1000)
    rows["trials"].append(
        {
            "trial_id": id,
            "number": number,
            "study_id": record.study_id,
            "state": _STATES.get(outcome, TrialState.FAIL),
            "datetime_start": start.replace(tzinfo=None),
            "datetime_complete": (start + timedelta(seconds=38)).replace(tzinfo=None),
        }
    )
    rows["trial_params"] += [
        {"trial_id": id, "param_name": name, "param_value": float(value), "distribution_json": _KINDS[name]}
        for name, value in params.items()
    ]
    measures = {"val_accuracy": curve[-1], "parameters": float(size)}
    if outcome == "complete":
        rows["trial_values"] += [
            {"trial_id": id, "objective": place, "value": measures[each["metric"]], "value_type": "FINITE"}
            for place, each in enumerate(record.objectives)
        ]
    for epoch, value in enumerate(curve, start=1):
        if len(record.objectives) == 1:
            step = {"trial_id": id, "step": epoch, "intermediate_value": value, "intermediate_value_type": "FINITE"}
            rows["trial_intermediate_values"].append(step)
        loss = math.nan if outcome == "diverged" else 2 * (1 - value)
        rows["epochs"].append(
            {
                "trial_id": id,
                "epoch": epoch,
                "study_id": record.study_id,
                "metrics": {"val_accuracy": value, "loss": loss},
                "seconds": 4.5,
                "run": 1,
                "at": start + timedelta(seconds=4.5 * epoch),
            }
        )
    rows["leases"].append({"lease": lease, "trial": id, "place": number})
    failed = outcome == "failed"
    rows["results"].append(
        {
            "trial_id": id,
            "study_id": record.study_id,
            "number": number,
            "lease_id": lease,
            "outcome": outcome,
            "reason": "ValueError: no <layers> & more" if failed else None,
            "traceback": 'Traceback (most recent call last):\n  File "space.py"\nValueError' if failed else None,
            "value": None if failed else curve[-1],
            "best_epoch": epochs,
            "metrics": {"val_accuracy": curve[-1], "loss": 2 * (1 - curve[-1])},
            "epochs": epochs,
            "seconds": 4.5 * epochs,
            "parameters": size,
            "measures": measures if len(record.objectives) > 1 else None,
            "closed_at": start + timedelta(seconds=38),
        }
    )


def _drawn(draw: random.Random, distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return draw.randrange(len(distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if isinstance(distribution, IntDistribution):
        return draw.randint(distribution.low, distribution.high)
    if distribution.log:
        return math.exp(draw.uniform(math.log(distribution.low), math.log(distribution.high)))
    return draw.uniform(distribution.low, distribution.high)


def begin_trials(database: Database, record: StudyRecord, count: int, epochs: int = 2) -> list[Lease]:
    """A worker has so many trials under way; gives their leases."""
    begun = []
    worker = _worker_of(record)
    workers.register(
        database, worker, record.study_id, host="node-1", pid=4711, slots=count, gpus=["0"], version="0.1.0"
    )
    for _ in range(count):
        acquired = leases.acquire(database, record.study_id, worker, 3600)
        assert acquired is not None
        lease = leases.start_trial(database, acquired)
        assert lease.trial_id is not None
        database.rdb.set_trial_param(lease.trial_id, "learning_rate", 1e-3, SPACE["learning_rate"])
        for epoch in range(1, epochs + 1):
            leases.record_epoch(
                database, lease, epoch, {"val_accuracy": 0.4 + 0.1 * epoch, "loss": 1.1 - 0.1 * epoch}, 3.0
            )
        begun.append(lease)
    return begun


def seen_again(database: Database, record: StudyRecord) -> None:
    """The worker of ``begin_trials`` gives a sign of life."""
    workers.seen(database, _worker_of(record))


def _worker_of(record: StudyRecord) -> str:
    return f"worker-of-{record.study_id}"
