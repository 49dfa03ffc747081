"""Classifies database drivers' errors: try again, come back later, or give up because of a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    PendingRollbackError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.errors import Conflict, DatabaseUnavailable, StorageError

# PostgreSQL: serialization_failure, deadlock_detected (Appendix A of its manual).
_POSTGRESQL_CONFLICTS = ("40001", "40P01")
# MySQL: ER_LOCK_DEADLOCK; MariaDB: ER_CHECKREAD (a row changed since the snapshot).
_MYSQL_CONFLICTS = ((1213,), (1020,))
_TROUBLES = (DatabaseError, InterfaceError)
_MISTAKES = (DataError, IntegrityError, NotSupportedError, ProgrammingError)


def translated(error: SQLAlchemyError, url: str, secrets: frozenset[str] = frozenset()) -> DatabaseUnavailable | None:
    """The error as this package says it, or None if the database is fine and the statement was wrong.

    Args:
        url: the database's masked URL, for the message.
        secrets: passwords that the driver might repeat.
    """
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable(url, "every connection is in use")
    if isinstance(error, PendingRollbackError):
        # Optuna catches what its own statement raises, and goes on in the session whose connection broke.
        return DatabaseUnavailable(url, "the connection broke in the middle of a transaction")
    if not isinstance(error, DBAPIError):
        return None
    if _is_conflict(error):
        return Conflict(url, one_line(error, secrets))
    mistaken = isinstance(error, _MISTAKES) or not isinstance(error, _TROUBLES)
    if mistaken and not error.connection_invalidated:
        return None
    return DatabaseUnavailable(url, one_line(error, secrets))


def one_line(error: BaseException, secrets: frozenset[str] = frozenset()) -> str:
    """What the driver said, on one line, without the statement and without passwords."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig else error
    # MySQL's errors are (number, text).
    args = list(original.args)
    text = " ".join(str(args[-1] if args else original).split())
    for secret in secrets:
        text = text.replace(secret, "***")
    return text or type(original).__name__


def _is_conflict(error: DBAPIError) -> bool:
    original = error.orig
    if getattr(original, "sqlstate", None) in _POSTGRESQL_CONFLICTS:
        return True
    return getattr(original, "args", ())[:1] in _MYSQL_CONFLICTS


@contextmanager
def optuna_errors(url: str = "of the study") -> Iterator[None]:
    """Gives what Optuna's storage raises about its database as this package's errors.

    Wrap every use of ``Database.optuna`` in it.

    Args:
        url: the database's masked URL, for the message.

    Raises:
        DatabaseUnavailable: the database cannot be used now.
        StorageError: the database refused what Optuna wrote.
    """
    # Whoever only asks questions need not import Optuna.
    from optuna.exceptions import StorageInternalError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        known = translated(cause, url) if isinstance(cause, SQLAlchemyError) else None
        raise known or StorageError(f"the database {url}: {one_line(cause or error)}") from error
