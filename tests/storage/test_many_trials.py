"""Ten thousand trials: what a query reads, and that it is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.storages._rdb.models import (
    StudyDirectionModel,
    StudyModel,
    TrialModel,
    TrialParamModel,
    TrialValueModel,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import event, insert

from storage import leaderboard
from storage.connecting import connect
from storage.database import Database

COUNT = 10_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """10,000 complete trials with the values that ``study.add_trials`` would give them, in seconds, not minutes."""
    url = f"sqlite:///{tmp_path_factory.mktemp('many')}/tuner.db"
    database = connect(url, create=True)
    distribution = distribution_to_json(FloatDistribution(0, COUNT))
    finite = TrialValueModel.TrialValueType.FINITE
    ids = range(1, COUNT + 1)
    with database.writing() as session:
        session.execute(insert(StudyModel).values(study_id=1, study_name="many"))
        direction = StudyDirection.MAXIMIZE
        session.execute(insert(StudyDirectionModel).values(study_id=1, objective=0, direction=direction))
        session.execute(
            insert(TrialModel),
            [{"trial_id": i, "number": i - 1, "study_id": 1, "state": TrialState.COMPLETE} for i in ids],
        )
        session.execute(
            insert(TrialValueModel),
            [{"trial_id": i, "objective": 0, "value": float(i * 7919 % COUNT), "value_type": finite} for i in ids],
        )
        session.execute(
            insert(TrialParamModel),
            [
                {"trial_id": i, "param_name": name, "param_value": float(i), "distribution_json": distribution}
                for i in ids
                for name in ("x", "y", "z")
            ],
        )
    database.close()
    return url


def test_the_best_of_many(url: str) -> None:
    database = connect(url)
    best = leaderboard.best(database, "many", 3)
    assert [each.value for each in best] == [9999.0, 9998.0, 9997.0]
    assert all((each.trial + 1) * 7919 % COUNT == each.value for each in best)
    assert all(each.params == dict.fromkeys("xyz", float(each.trial + 1)) for each in best)
    database.close()


def test_a_query_reads_what_it_returns(url: str) -> None:
    database = connect(url)
    queries = (
        lambda: leaderboard.best(database, "many", 5),
        lambda: leaderboard.trials(database, "many", sort="value", descending=True, limit=5),
        lambda: leaderboard.status(database, "many"),
        lambda: leaderboard.overview(database),
        lambda: leaderboard.trial(database, "many", 77),
    )
    for query in queries:
        assert _rows_read(database, query) < 60
    # Sorting by a hyperparameter reads that one of every trial, and the trials' ids.
    assert _rows_read(database, lambda: leaderboard.trials(database, "many", sort="x", limit=5)) < 2 * COUNT + 60
    database.close()


def _rows_read(database: Database, query: object) -> int:
    rows = 0

    def count(connection, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        nonlocal rows
        if statement.startswith("SELECT"):
            raw = connection.connection.dbapi_connection
            rows += raw.execute(f"SELECT count(*) FROM ({statement})", parameters).fetchone()[0]

    event.listen(database.engine, "after_cursor_execute", count)
    try:
        query()  # type: ignore[operator]
    finally:
        event.remove(database.engine, "after_cursor_execute", count)
    return rows


def test_a_query_imports_neither_keras_nor_alembic(url: str) -> None:
    code = (
        "import sys; from storage import leaderboard; from storage.connecting import connect; "
        f"print(leaderboard.best(connect({url!r}), 'many', 1)[0].value); "
        "print(sorted({'tensorflow', 'keras', 'keras_tuner', 'alembic'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["9999.0", "[]"]
