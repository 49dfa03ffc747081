"""A database as callers name it: a URL, one that is open already, or whatever is usual here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from storage.connecting import connect
from storage.database import Database
from tuner.study.locations import storage_url

# A database URL, or a database that is open already and stays so.
Storage = str | Database | None


@contextmanager
def open_storage(storage: Storage, *, create: bool = False) -> Iterator[Database]:
    if isinstance(storage, Database):
        yield storage
        return
    database = connect(storage_url(storage), create=create)
    try:
        yield database
    finally:
        database.close()
