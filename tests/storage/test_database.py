"""Opening databases: what is made, what is refused, what is said."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import optuna
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages import RDBStorage
from sqlalchemy import event, inspect, text

import storage
from storage import leaderboard, leases, schema
from storage.connecting import connect
from storage.database import Database
from storage.errors import Conflict, DatabaseUnavailable, NoDatabase, SchemaTooNew, StorageError
from storage.tables import Base, StudyRow
from storage.translation import optuna_errors
from storage.urls import parse_url

Race = Callable[..., list[Any]]
# What a connection is called on its server, and what ends it there.
_KILLING = {
    "postgresql": ("pg_backend_pid()", "SELECT pg_terminate_backend({})"),
    "mariadb": ("CONNECTION_ID()", "KILL {}"),
}


def test_reading_a_missing_file_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoDatabase, match=r"launch a study first, or name another one with --storage"):
        connect(f"sqlite:///{tmp_path}/folder/tuner.db")
    assert list(tmp_path.iterdir()) == []


def test_reading_an_empty_database_makes_nothing(new_database_url: Callable[[], str], backend: str) -> None:
    url = new_database_url()
    if backend == "sqlite":
        Path(url.removeprefix("sqlite:///")).touch()
    with pytest.raises(NoDatabase):
        connect(url)
    with pytest.raises(NoDatabase):
        connect(url)


def test_creating_makes_folder_file_and_tables_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a/b/tuner.db"
    connect(url, create=True).close()
    database = connect(url, create=True)
    assert schema.found_revision(database) == schema.REVISIONS[-1]
    database.close()


def test_a_relative_path_is_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = connect("sqlite:///tuner.db", create=True)
    assert database.url == "sqlite:///tuner.db"
    assert (tmp_path / "tuner.db").exists()
    database.close()


def _set_up(index: int, url: str) -> str | None:
    database = connect(url, create=True)
    revision = schema.found_revision(database)
    study = optuna.create_study(study_name=f"study-{index}", storage=database.optuna)
    study.add_trial(optuna.trial.create_trial(value=float(index)))
    database.close()
    return revision


def test_ten_processes_set_up_an_empty_database(new_database_url: Callable[[], str], race: Race) -> None:
    url = new_database_url()
    assert race(10, _set_up, url) == [schema.REVISIONS[-1]] * 10
    database = connect(url)
    assert len(leaderboard.overview(database)) == 10
    with database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM version_info")).scalar() == 1
        assert session.execute(text("SELECT count(*) FROM tuner_schema_version")).scalar() == 1
    database.close()


def test_an_interrupted_setup_is_completed(new_database_url: Callable[[], str]) -> None:
    url = new_database_url()
    connect(url, create=True).close()
    database = connect(url)
    with database.writing() as session:
        session.execute(text("DROP TABLE tuner_epochs"))
        session.execute(text("DROP TABLE tuner_schema_version"))
        session.execute(text("DROP TABLE tuner_champions"))
    database.close()
    database = connect(url, create=True)
    with database.reading() as session:
        tables = set(inspect(session.connection()).get_table_names())
    assert set(Base.metadata.tables) <= tables
    database.close()


def test_a_plain_optuna_database_can_be_queried(new_database_url: Callable[[], str]) -> None:
    url = new_database_url()
    plain = optuna.create_study(study_name="plain", storage=RDBStorage(url), direction="maximize")
    plain.add_trials([optuna.trial.create_trial(value=value) for value in (1.0, 2.0)])
    database = connect(url)
    assert leaderboard.best(database, "plain", 1)[0].trial == 1
    assert [each.best_value for each in leaderboard.overview(database)] == [2.0]
    database.close()


def test_migrations_make_exactly_the_tables(database: Database) -> None:
    with database.reading() as session:
        context = MigrationContext.configure(
            session.connection(),
            opts={
                "version_table": schema.VERSION_TABLE,
                "compare_type": True,
                "include_name": lambda name, kind, parents: kind != "table" or name in Base.metadata.tables,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_known_revisions_are_the_migrations() -> None:
    folder = Path(storage.__file__ or "").parent / "migrations"
    scripts = ScriptDirectory(str(folder)).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == schema.REVISIONS


def _pretend_revision(database: Database, revision: str) -> None:
    with database.writing() as session:
        session.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{revision}'"))


def test_a_newer_schema_is_refused(new_database_url: Callable[[], str]) -> None:
    url = new_database_url()
    database = connect(url, create=True)
    _pretend_revision(database, "9999")
    for create in (False, True):
        with pytest.raises(SchemaTooNew, match="schema 9999") as refused:
            connect(url, create=create)
        assert (refused.value.found, refused.value.known) == ("9999", schema.REVISIONS[-1])
    with pytest.raises(SchemaTooNew):
        schema.upgrade(database)
    database.close()


def test_sqlite_is_set_for_several_processes(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path}/tuner.db", create=True)
    expected = {"journal_mode": "wal", "busy_timeout": 30_000, "foreign_keys": 1, "synchronous": 1}
    for engine in (database.engine, database.rdb.engine):
        with engine.connect() as connection:
            for pragma, value in expected.items():
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value, pragma
    database.close()


def test_one_cached_optuna_storage_for_life(database: Database) -> None:
    assert database.optuna is database.optuna


def test_writing_is_all_or_nothing(database: Database, new_study: Callable[..., Any]) -> None:
    study_id = new_study().study_id
    with pytest.raises(RuntimeError), database.writing() as session:
        session.get_one(StudyRow, study_id).state = "failed"
        session.flush()
        raise RuntimeError
    with database.reading() as session:
        assert session.get_one(StudyRow, study_id).state == "running"


def test_reading_sees_one_snapshot(database: Database, new_study: Callable[..., Any]) -> None:
    new_study("before")
    with database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM tuner_studies")) == 1
        new_study("meanwhile")
        assert session.scalar(text("SELECT count(*) FROM tuner_studies")) == 1
    with database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM tuner_studies")) == 2


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
def test_two_connections_are_kept(database: Database, new_study: Callable[..., Any]) -> None:
    study = new_study()
    leases.start_trial(database, leases.acquire(database, study.study_id, "w1", 60))
    database.optuna.get_all_trials(study.study_id)
    assert [engine.pool.checkedin() for engine in (database.engine, database.rdb.engine)] == [1, 1]


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
def test_a_connection_that_the_server_ended_is_replaced(database: Database, backend: str) -> None:
    assert database.optuna.get_all_studies() == []
    own, kill = _KILLING[backend]
    with pytest.raises(DatabaseUnavailable), database.writing() as session:
        number = session.execute(text(f"SELECT {own}")).scalar()
        with database.reading() as other:
            other.execute(text(kill.format(number)))
        session.execute(text("SELECT 1"))
    with database.writing() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
def test_a_connection_that_breaks_while_optuna_reads_is_an_outage(
    database: Database, backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    study = optuna.create_study(storage=database.optuna)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    own, kill = _KILLING[backend]
    engine, broken = database.rdb.engine, list[str]()

    def break_off(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        # In the middle of the one read that Optuna repeats in the same session.
        if "FROM trial_values" in statement and not broken:
            broken.append(statement)
            cursor.execute(f"SELECT {own}")
            with database.reading() as other:
                other.execute(text(kill.format(cursor.fetchone()[0])))

    event.listen(engine, "before_cursor_execute", break_off)
    with pytest.raises(DatabaseUnavailable), optuna_errors(database.url):
        database.rdb.get_all_trials(study._study_id)
    assert broken
    assert [trial.value for trial in database.rdb.get_all_trials(study._study_id)] == [1.0]
    assert "Falling back" not in capfd.readouterr().err


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
def test_a_deadlock_is_a_conflict(database: Database, new_study: Callable[..., Any]) -> None:
    first, second = new_study("first").study_id, new_study("second").study_id
    raised: list[Exception] = []

    def update_both(one: int, other: int, met: Barrier) -> None:
        try:
            with database.writing() as session:
                session.get(StudyRow, one, with_for_update=True)
                met.wait(timeout=10)
                session.get(StudyRow, other, with_for_update=True)
        except Conflict as conflict:
            raised.append(conflict)

    met = Barrier(2)
    threads = [Thread(target=update_both, args=(*pair, met)) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(raised) == 1


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_an_unreachable_server(kind: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot use the database") as away:
        connect(f"{kind}://u:s3cr3t@127.0.0.1:{_closed_port()}/db", create=True)
    assert "refused" in away.value.reason
    assert "s3cr3t" not in str(away.value) + str(vars(away.value)) + str(away.value.__cause__)


def test_no_password_is_shown() -> None:
    database = Database(parse_url("postgresql://u:s3cr3t@127.0.0.1:1/db?sslpassword=s3cr3t"))
    assert repr(database) == str(database) == f"Database({database.url!r})"
    assert "s3cr3t" not in repr(database)
    with pytest.raises(StorageError) as away, database.reading() as session:
        session.execute(text("SELECT 1"))
    assert "s3cr3t" not in str(away.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "tuner.db").write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(DatabaseUnavailable, match="file is not a database"):
        connect(f"sqlite:///{tmp_path}/tuner.db", create=True)


def test_a_place_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match=r"Not a directory|File exists"):
        connect(f"sqlite:///{tmp_path}/file/tuner.db", create=True)


def test_a_locked_file_is_unavailable_not_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engines.BUSY_SECONDS", 0)
    database = connect(f"sqlite:///{tmp_path}/tuner.db", create=True)
    database.optuna.get_all_studies()
    holder = sqlite3.connect(tmp_path / "tuner.db")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="database is locked"), database.writing() as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(DatabaseUnavailable, match="database is locked"), optuna_errors(database.url):
        optuna.create_study(storage=database.optuna)
    with database.reading() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
    holder.close()
    database.close()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_what_optuna_may_not_write_is_not_an_outage(database: Database) -> None:
    study = optuna.create_study(storage=database.optuna)
    with pytest.raises(StorageError) as refused, optuna_errors(database.url):
        study.set_user_attr("a\0b", 1)
    assert not isinstance(refused.value, DatabaseUnavailable)


def test_a_connection_that_breaks_on_its_way_back_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = connect(f"sqlite:///{tmp_path / 'tuner.db'}", create=True)
    connection = database.engine.raw_connection()
    assert connection.dbapi_connection is not None
    connection.dbapi_connection.close()
    connection.close()
    assert caplog.text == ""
    assert database.clock().tzinfo is not None
    database.close()
