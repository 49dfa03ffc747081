"""The tables' version: checked on every connection, made by whoever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from storage.database import Database
from storage.errors import DatabaseUnavailable, NoDatabase, SchemaTooNew, SchemaTooOld
from storage.urls import parse_url, sqlite_file

VERSION_TABLE = "tuner_schema_version"
# Every revision in migrations/versions, oldest first. Kept here so that a query need not import Alembic.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
_SETUP_SECONDS = 50
_LOCK_NAME = "tuner_schema"
_LOCK_NUMBER = 0x74756E6572  # "tuner" in ASCII: PostgreSQL's advisory locks are numbers.


def prepare(database: Database, url: URL, *, create: bool) -> None:
    """Makes sure that the tables are there and of this version.

    Raises:
        NoDatabase, SchemaTooNew, SchemaTooOld, DatabaseUnavailable: as :func:`storage.connecting.connect` says.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        if not create:
            raise NoDatabase(database.url)
        _make_folder(file, database)
    if _is_current(database):
        return
    if not create and not _has_optuna_tables(database):
        raise NoDatabase(database.url)
    with _only_one(database, file):
        if not _is_current(database):
            _set_up(database)


def found_revision(database: Database) -> str | None:
    """The revision recorded in the database; None if our tables were never made."""
    with database.reading() as session:
        connection = session.connection()
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def upgrade(database: Database) -> None:
    """Brings our tables to this version. Safe when several processes do it at once.

    Raises:
        SchemaTooNew: a newer version of this software made them.
    """
    with _only_one(database, sqlite_file(database.engine.url)):
        found = found_revision(database)
        if found is not None and found not in REVISIONS:
            raise SchemaTooNew(database.url, found, REVISIONS[-1])
        _migrate(database)


def upgrade_at(url: str) -> tuple[str | None, str]:
    """Brings the tables of an existing database to this version. Gives the revision that was found and this one's.

    Raises:
        InvalidUrl, DatabaseUnavailable: as :func:`storage.connecting.connect`.
        NoDatabase: there is nothing to upgrade.
        SchemaTooNew: a newer version of this software made the tables.
    """
    database = Database(parse_url(url))
    try:
        file = sqlite_file(database.engine.url)
        if file is not None and not file.exists():
            raise NoDatabase(database.url)
        found = found_revision(database)
        if found is None and not _has_optuna_tables(database):
            raise NoDatabase(database.url)
        upgrade(database)
        return found, REVISIONS[-1]
    finally:
        database.close()


def _is_current(database: Database) -> bool:
    found = found_revision(database)
    if found is None:
        return False
    if found not in REVISIONS:
        raise SchemaTooNew(database.url, found, REVISIONS[-1])
    if found != REVISIONS[-1]:
        raise SchemaTooOld(database.url, found, REVISIONS[-1])
    return True


def _has_optuna_tables(database: Database) -> bool:
    with database.reading() as session:
        return inspect(session.connection()).has_table("trials")


def _make_folder(file: Path, database: Database) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(database.url, f"{file.parent}: {error.strerror}") from None


def _set_up(database: Database) -> None:
    if database.dialect == "sqlite":
        _use_write_ahead_log(database)
    had_trials = _has_optuna_tables(database)
    _ = database.rdb
    if database.dialect == "mysql" and not had_trials:
        _keep_microseconds(database)
    _migrate(database)


def _use_write_ahead_log(database: Database) -> None:
    # The mode is kept in the file. It cannot be changed inside a transaction.
    with database._translating():
        connection = database.engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()


def _keep_microseconds(database: Database) -> None:
    # MySQL would round the times in Optuna's tables to seconds, against what Optuna's storages promise.
    columns = ("datetime_start", "datetime_complete")
    changes = ", ".join(f"MODIFY {column} DATETIME(6) NULL" for column in columns)
    with database.writing() as session:
        session.execute(text(f"ALTER TABLE trials {changes}"))


def _migrate(database: Database, revision: str = REVISIONS[-1]) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    with database.writing() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, revision)


@contextmanager
def _only_one(database: Database, file: Path | None) -> Iterator[None]:
    """Lets one process at a time, on any machine, set up the database."""
    if file is not None:
        with _file_lock(database, file):
            yield
        return
    with database._translating(), database.engine.connect() as connection:
        _lock(database, connection)
        try:
            yield
        finally:
            connection.invalidate()  # Ends the server's session, and the lock with it, whatever happened.


@contextmanager
def _file_lock(database: Database, file: Path) -> Iterator[None]:
    try:
        with filelock.FileLock(f"{file}.lock", timeout=_SETUP_SECONDS):
            yield
    except filelock.Timeout:
        raise DatabaseUnavailable(database.url, f"{file}.lock is held by another process") from None
    except OSError as error:
        raise DatabaseUnavailable(database.url, f"{error.filename}: {error.strerror}") from None


def _lock(database: Database, connection: Connection) -> None:
    if database.dialect == "postgresql":
        connection.execute(text(f"SET lock_timeout = '{_SETUP_SECONDS}s'"))
        connection.execute(text(f"SELECT pg_advisory_lock({_LOCK_NUMBER})"))
        return
    name = f"CONCAT('{_LOCK_NAME}.', MD5(DATABASE()))"
    taken = connection.execute(text(f"SELECT GET_LOCK({name}, {_SETUP_SECONDS})")).scalar()
    if not taken:
        raise DatabaseUnavailable(database.url, "another process has been setting it up for a long time")
