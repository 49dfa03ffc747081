"""connect(url): the one way to the database, whose tables it makes or checks first."""

from __future__ import annotations

from storage.database import Database
from storage.schema import prepare
from storage.urls import parse_url


def connect(url: str, *, create: bool = False, connections: int = 1, answer_seconds: float | None = None) -> Database:
    """Opens the database of a storage URL.

    Args:
        url: ``sqlite:///FILE``, ``postgresql://...`` (or ``postgres://``), ``mysql://...`` or ``mariadb://...``.
        create: make the file and the tables if they are missing. Safe when several processes come at once.
        connections: kept open, for a process that asks in several threads.
        answer_seconds: after which a server that is there and does not answer counts as away; not used for SQLite.

    Raises:
        InvalidUrl: the URL cannot be used at all.
        NoDatabase: without ``create``: there is no such SQLite file, or no study was ever made in the database.
        DatabaseUnavailable: it cannot be reached.
        SchemaTooNew, SchemaTooOld: another version of this software made the tables.
    """
    parsed = parse_url(url)
    database = Database(parsed, connections, answer_seconds)
    try:
        prepare(database, parsed, create=create)
    except BaseException:
        database.close()
        raise
    return database
