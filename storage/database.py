"""A database that holds studies: sessions on our tables, and Optuna's storage on the same one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import ParamSpec, TypeVar

import optuna
import tenacity
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import Engine, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from storage.columns import database_clock
from storage.engines import engine_options, for_reading, for_writing, make_engine
from storage.errors import Conflict, StorageError
from storage.translation import optuna_errors, translated
from storage.urls import mask_password, secrets_in

__all__ = ["Database", "mask_password", "retried"]

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class Database:
    """A database that holds studies: sessions on our tables, and Optuna's storage.

    Open one with :func:`storage.connecting.connect`. It may be used by several threads, and must not be used after a
    fork.

    Attributes:
        url: the URL without its password.
        dialect: ``"sqlite"``, ``"postgresql"`` or ``"mysql"`` (also for MariaDB).
        engine: the SQLAlchemy engine.
    """

    def __init__(self, url: URL, connections: int = 1, answer_seconds: float | None = None) -> None:
        self._url = url
        self._secrets = secrets_in(url)
        self.url = mask_password(url)
        self.engine: Engine = make_engine(url, connections, answer_seconds)
        self.dialect = self.engine.dialect.name

    def __repr__(self) -> str:
        return f"Database({self.url!r})"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one snapshot and writes nothing.

        Raises:
            DatabaseUnavailable: the database cannot be used now.
        """
        with self._session(for_reading(self.engine)) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end, rolled back on any exception.

        On SQLite it holds the write lock from its first statement, also if that only reads.

        Raises:
            DatabaseUnavailable: the database cannot be used now. If the answer to the commit was lost, the
                transaction may have been committed all the same.
            Conflict: it lost against another transaction; functions marked ``retried`` are repeated.
        """
        with self._session(for_writing(self.engine)) as session:
            yield session

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        with (
            self._translating(),
            Session(engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            known = translated(error, self.url, self._secrets)
            if known is None:
                raise
            raise known from error

    def now(self, plus_seconds: float = 0.0) -> database_clock:
        """An SQL expression: the database's time in UTC, plus some seconds."""
        return database_clock(plus_seconds)

    def clock(self) -> datetime:
        """The database's time now, aware, in UTC."""
        with self.reading() as session:
            return session.execute(select(self.now())).scalar_one()

    @cached_property
    def rdb(self) -> RDBStorage:
        """Optuna's storage on this database, without a cache."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # All that it warns of is an error that it raises a moment later, in many lines of SQL.
        optuna.logging.get_logger("optuna.storages._rdb.storage").setLevel(optuna.logging.ERROR)
        # Optuna fills {SCHEMA_VERSION} into URLs with str.format.
        url = self._url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        with optuna_errors(self.url):
            try:
                return RDBStorage(url, engine_kwargs=engine_options(self._url))
            except RuntimeError as error:
                raise StorageError(f"{self.url}: {error}") from error

    @cached_property
    def optuna(self) -> BaseStorage:
        """Optuna's storage with its cache of finished trials: one for the life of this object."""
        return optuna.storages.get_storage(self.rdb)

    def close(self) -> None:
        """Closes every connection. The object opens new ones if it is used again."""
        self.engine.dispose()
        if "rdb" in self.__dict__:
            self.rdb.remove_session()
            self.rdb.engine.dispose()


def retried(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Repeats a function of one transaction that lost against other transactions (:class:`Conflict`)."""
    repeat = tenacity.retry(
        retry=tenacity.retry_if_exception_type(Conflict),
        stop=tenacity.stop_after_attempt(8),
        wait=tenacity.wait_random_exponential(multiplier=0.02, max=1),
        reraise=True,
    )
    return repeat(function)
