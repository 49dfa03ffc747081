"""Fresh databases to measure on: a SQLite file, and a database on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from disruption.servers import PostgresServer
from report import say
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

KINDS = ("sqlite", "postgresql")


@contextmanager
def fresh_database(kind: str, folder: Path, server: str | None, settings: Sequence[str] = ()) -> Iterator[str]:
    """The URL of an empty database, dropped at the end.

    Args:
        kind: one of ``KINDS``.
        folder: for SQLite's file, or for a PostgreSQL server's data.
        server: a PostgreSQL server where databases may be created; None starts one.
        settings: of the one that is started, such as ``max_connections=200``.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'tuner.db'}"
        return
    if server is None:
        say("starting a PostgreSQL server of its own ...")
        with PostgresServer(folder / "postgres", settings) as started:
            yield started.url
        return
    with _database_on(server) as url:
        yield url


@contextmanager
def _database_on(server: str) -> Iterator[str]:
    address = make_url(server).set(drivername="postgresql+psycopg")
    name = f"tuner_bench_{uuid4().hex[:12]}"
    _execute(address, f"CREATE DATABASE {name}")
    try:
        yield address.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
    finally:
        _execute(address, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(address: URL, statement: str) -> None:
    engine = create_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))
