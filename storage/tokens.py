"""Tokens of the service: who they are for, what they may do, and since when they do not count any more."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from storage.database import Database, retried
from storage.errors import StorageError, UnknownToken
from storage.tables import TokenRow

# Each may do what those before it may.
Scope = Literal["read", "launch", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Of what a bearer shows.
PREFIX = "kc_"
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Token:
    """A token, without what its bearer shows.

    Attributes:
        scope: ``read``; ``launch``, which also starts, stops and feeds studies and promotes champions; or ``admin``,
            which also deletes.
        used_at: about when it was shown last.
    """

    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


def hashed(secret: str) -> str:
    """A token as the database has it. It is 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


@retried
def create(db: Database, name: str, scope: Scope, *, seconds: float | None = None) -> str:
    """Makes a token and gives what its bearer shows, which is stored nowhere.

    Args:
        seconds: how long it counts, by the database's clock; None for ever.

    Raises:
        StorageError: the name is taken or cannot be one, or there is no such scope.
    """
    if not _NAME.fullmatch(name):
        raise StorageError(f"{name!r} cannot name a token: use 1 to 64 letters, digits, '.', '_' and '-'")
    if scope not in SCOPES:
        raise StorageError(f"there is no scope {scope!r}; choose one of {', '.join(SCOPES)}")
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    try:
        with db.writing() as session:
            row = TokenRow(name=name, sha256=hashed(secret), scope=scope)
            row.created_at = db.now()  # type: ignore[assignment]  # filled in by the flush
            if seconds is not None:
                row.expires_at = db.now(seconds)  # type: ignore[assignment]
            session.add(row)
    except IntegrityError:
        raise StorageError(f"there is or was a token {name!r}; choose another name") from None
    return secret


def list_tokens(db: Database) -> list[Token]:
    """Every token that ever was, in the order in which they were made."""
    with db.reading() as session:
        return [_token(row) for row in session.scalars(select(TokenRow).order_by(TokenRow.id))]


def live_tokens(db: Database) -> dict[str, Token]:
    """Those that count now, by their SHA-256."""
    unexpired = or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > db.now())
    with db.reading() as session:
        found = session.scalars(select(TokenRow).where(TokenRow.revoked_at.is_(None), unexpired))
        return {row.sha256: _token(row) for row in found}


@retried
def revoke(db: Database, name: str) -> bool:
    """Makes a token count no more. False if it was already revoked.

    Raises:
        UnknownToken: there is none of this name.
    """
    with db.writing() as session:
        row = session.scalar(select(TokenRow).where(TokenRow.name == name).with_for_update())
        if row is None:
            raise UnknownToken(name, list(session.scalars(select(TokenRow.name).order_by(TokenRow.id))))
        if row.revoked_at is not None:
            return False
        row.revoked_at = db.now()  # type: ignore[assignment]  # filled in by the flush
        return True


@retried
def note_use(db: Database, name: str) -> None:
    """Notes that a token was shown."""
    with db.writing() as session:
        session.execute(update(TokenRow).where(TokenRow.name == name).values(used_at=db.now()))


def _token(row: TokenRow) -> Token:
    return Token(**{name: getattr(row, name) for name in Token.__dataclass_fields__})
