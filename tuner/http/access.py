"""Decides who a caller is and what they may do: by a token, by the pages' cookie, or locally while no token exists."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Security
from fastapi.security import HTTPBearer

from storage import tokens
from storage.errors import DatabaseUnavailable, StorageError
from storage.tokens import SCOPES, Scope, Token
from tuner.errors import NoAccess, ScopeTooSmall
from tuner.http.reads import Reads
from tuner.http.settings import ServiceSettings

# The page by which a browser signs in.
SIGN_IN = "/sign-in"
COOKIE = "tuner_token"
ANONYMOUS = "anonymous"
_NOTE_SECONDS = 60.0
# One request asks several times, and each could wait long for a database that hangs.
_FAILED_SECONDS = 1.0
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


@dataclass(frozen=True)
class Caller:
    """Who asks, and the most that they may do."""

    name: str
    scope: Scope

    def may(self, scope: Scope) -> bool:
        return SCOPES.index(scope) <= SCOPES.index(self.scope)


class Access:
    """Looks tokens up, and remembers them for a moment."""

    def __init__(self, settings: ServiceSettings, reads: Reads, live: Callable[[], dict[str, Token]]) -> None:
        self._settings = settings
        self._reads = reads
        self._live = live
        self._known: dict[str, Token] = {}
        self._looked = float("-inf")
        self._failed: tuple[float, DatabaseUnavailable] | None = None
        self._noted: dict[str, float] = {}
        self._csrf_key = secrets.token_bytes(32)

    async def caller(self, secret: str | None, forwarded: bool = False) -> tuple[Caller, bool]:
        """Who shows this token, and whether its use should be noted now. Raises as ``identified``."""
        caller = await self.identified(secret, forwarded)
        return caller, secret is not None and self._is_news(caller.name)

    async def identified(
        self, secret: str | None, forwarded: bool = False, *, known_seconds: float | None = None
    ) -> Caller:
        """Who shows this token.

        Without a token: on loopback everybody is an administrator while the database has no token, and a reader after
        that.

        While the database is away, what was known last counts.

        Args:
            forwarded: it came through a proxy, so that it may be anybody's.
            known_seconds: in place of the setting.

        Raises:
            NoAccess: the token does not count, or there must be one.
            DatabaseUnavailable: nothing is known, or not of this token.
        """
        try:
            await self._look(self._settings.known_seconds if known_seconds is None else known_seconds)
        except DatabaseUnavailable:
            if self._looked == float("-inf"):
                raise
        if secret is None:
            return self._anonymous(forwarded)
        token = self._known.get(tokens.hashed(secret))
        if token is None:
            # It may be newer than what is remembered.
            await self._look(0)
            token = self._known.get(tokens.hashed(secret))
        if token is None:
            raise NoAccess("the token is unknown, revoked or expired: `tuner token create` creates one")
        return Caller(token.name, token.scope)

    def _anonymous(self, forwarded: bool) -> Caller:
        if not self._settings.on_loopback:
            raise NoAccess("a token is needed: send Authorization: Bearer TOKEN; `tuner token create` creates one")
        if forwarded:
            raise NoAccess("requests through a proxy that is not declared with `tuner serve --proxy` need a token")
        return Caller(ANONYMOUS, "read" if self._known else "admin")

    async def _look(self, seconds: float) -> None:
        if time.monotonic() - self._looked <= seconds and seconds > 0:
            return
        if self._failed is not None and time.monotonic() - self._failed[0] <= _FAILED_SECONDS:
            raise self._failed[1].with_traceback(None)
        asked = time.monotonic()
        try:
            self._known = await self._reads.ask("tokens", self._live)
        except DatabaseUnavailable as error:
            self._failed = (time.monotonic(), error)
            raise
        self._looked, self._failed = asked, None

    def _is_news(self, name: str) -> bool:
        now = time.monotonic()
        if now - self._noted.get(name, float("-inf")) < _NOTE_SECONDS:
            return False
        self._noted[name] = now
        return True

    def csrf_of(self, secret: str | None) -> str:
        """What a page's form sends back, so that no other site can send it: bound to the cookie and this process."""
        shown = (secret or ANONYMOUS).encode()
        return hmac.new(self._csrf_key, shown, hashlib.sha256).hexdigest()

    def is_csrf(self, secret: str | None, sent: str) -> bool:
        return hmac.compare_digest(self.csrf_of(secret).encode(), sent.encode())


_BEARER = HTTPBearer(auto_error=False, description="A token that `tuner token create` has created.")
_NOTING: set[asyncio.Task[None]] = set()


def secret_of(request: Request) -> str | None:
    """The token that a request shows, as a bearer or as the pages' cookie."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    return request.cookies.get(COOKIE)


def is_forwarded(request: Request) -> bool:
    """Whether a proxy says that it passes this request on."""
    return any(name in request.headers for name in _FORWARDING)


def needs(scope: Scope) -> Callable[[Request], Coroutine[Any, Any, Caller]]:
    """A dependency of routes that need a scope: gives who asks."""

    async def permitted(request: Request, _: object = Security(_BEARER)) -> Caller:
        service = request.app.state.service
        caller, news = await service.access.caller(secret_of(request), is_forwarded(request))
        if not caller.may(scope):
            shown = "without a token" if caller.name == ANONYMOUS else f"with token {caller.name}"
            raise ScopeTooSmall(f"this needs the {scope} scope, but {shown} you have the {caller.scope} scope")
        if news:
            task = asyncio.create_task(_note(service, caller.name))
            _NOTING.add(task)
            task.add_done_callback(_NOTING.discard)
        request.state.caller = caller
        return caller

    return permitted


async def _note(service: Any, name: str) -> None:
    # When it was used is no reason to fail.
    with contextlib.suppress(StorageError):
        await service.reads.run(lambda: tokens.note_use(service.database, name))
