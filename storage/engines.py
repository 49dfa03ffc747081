"""SQLAlchemy engines: how each kind of database is opened, and how its transactions begin."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from storage.errors import InvalidUrl
from storage.urls import mask_password

CONNECT_SECONDS = 5
BUSY_SECONDS = 30
_ANSWER_SECONDS = 60
# Ours take milliseconds. A worker that stops in the middle of one, frozen or without power, keeps its locks on the
# server until then, and nobody can adopt its trial.
TRANSACTION_SECONDS = 15
_WRITING = "tuner_writing"


class SqliteConnection(sqlite3.Connection):
    """A connection with the settings that several processes on one file need."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA synchronous = NORMAL")


def engine_options(url: URL, connections: int = 1) -> dict[str, Any]:
    """``create_engine``'s options, the same for Optuna's engine and for ours.

    Each keeps one connection: a worker is one thread, and PostgreSQL gives 100 connections to all of them.

    Args:
        connections: kept open, for a process that asks in several threads.
    """
    return {"pool_pre_ping": True, "pool_size": connections, "connect_args": _connect_args(url)}


def _connect_args(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": BUSY_SECONDS, "factory": SqliteConnection}
    if url.drivername == "mysql+pymysql":
        # Without these a vanished server would block a worker for ever.
        limits = {"read_timeout": _ANSWER_SECONDS, "write_timeout": _ANSWER_SECONDS}
        # MySQL, which does not read this comment, knows idle connections only; one that it ends is replaced.
        within = f"SET SESSION wait_timeout = 60 /*M! , idle_transaction_timeout = {TRANSACTION_SECONDS} */"
        return {"connect_timeout": CONNECT_SECONDS, **limits, "init_command": within}
    if url.drivername == "postgresql+psycopg":
        alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
        server = {
            "idle_in_transaction_session_timeout": TRANSACTION_SECONDS * 1000,
            "tcp_keepalives_idle": 10,
            "tcp_keepalives_interval": 5,
            "tcp_keepalives_count": 3,
            # A plan for any values takes a list of all complete trials for one of a few, and is twice as slow.
            "plan_cache_mode": "force_custom_plan",
        }
        settings = [f"-c {name}={value}" for name, value in server.items()]
        given = url.query.get("options", ())
        settings += [given] if isinstance(given, str) else given
        limits = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": 30_000, **alive}
        return {**limits, "options": " ".join(settings)}
    return {}


def make_engine(url: URL, connections: int = 1, answer_seconds: float | None = None) -> Engine:
    """Our own engine; nothing is connected yet.

    Args:
        answer_seconds: after which a server that is there and does not answer counts as away, for a process whose
            users wait. Others wait on: an upgrade may take long.

    Raises:
        InvalidUrl: the driver is not installed, or the URL has an option that it does not know.
    """
    # A connection that breaks on its way back to the pool is thrown away, with a traceback that says nothing of use:
    # whatever is asked next finds the database or says that it is away.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    options = engine_options(url, connections)
    if url.drivername == "mysql+pymysql" and answer_seconds is not None:
        options["connect_args"] |= {"read_timeout": answer_seconds, "write_timeout": answer_seconds}
    if url.get_backend_name() != "sqlite":
        # A lease is claimed by what is committed, not by what a transaction saw at its start.
        options["isolation_level"] = "READ COMMITTED"
    try:
        engine = create_engine(url, **options)
    except ImportError as error:
        raise InvalidUrl(mask_password(url), f"driver {error.name!r} is not installed") from None
    except (ArgumentError, ValueError, TypeError) as error:
        raise InvalidUrl(mask_password(url), str(error)) from None
    if url.get_backend_name() == "sqlite":
        _let_us_begin(engine)
    elif url.drivername == "postgresql+psycopg" and answer_seconds is not None:
        _give_up(engine, answer_seconds)
    return engine


def _give_up(engine: Engine, seconds: float) -> None:
    from storage.bounded_postgresql import bounded

    connect = bounded(seconds)

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, record: Any, args: Any, options: Any) -> Any:
        return connect(*args, **options)


def for_writing(engine: Engine) -> Engine:
    return engine.execution_options(**{_WRITING: True})


def for_reading(engine: Engine) -> Engine:
    """An engine whose transactions see one snapshot of the database."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ")


def _let_us_begin(engine: Engine) -> None:
    """Takes BEGIN away from sqlite3, which would begin late and deferred, and lose a race after the first read."""

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get(_WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
