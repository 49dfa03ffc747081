"""What is checked of every request before it reaches a route, and what every answer says to browsers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.local_addresses import is_loopback_host
from tuner.errors import OtherName, ScopeTooSmall, TooLarge, TooSlow, TunerError
from tuner.http.error_responses import fault_of
from tuner.http.handlers import failed, told
from tuner.http.parameters import SLASH
from tuner.http.rate import Rate
from tuner.http.settings import ServiceSettings

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer, with which a browser's own forms come from nowhere.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# An application of somebody else's, whose charts make code while they are drawn.
_FOREIGN_POLICIES = {
    "/dashboard": _POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-eval'"),
}
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_READING = ("GET", "HEAD", "OPTIONS")
_BODY_SECONDS = 30.0
_SLASH_IN_NAME = re.compile(rb"%2[fF]")


OnAnswer = Callable[[str, str, int, float], None]


class Guard:
    """Bounds sizes and rates, refuses other sites' requests, and adds the security headers."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, on_answer: OnAnswer) -> None:
        self._on_answer = on_answer
        self._app = app
        self._settings = settings
        self._rate = Rate(settings.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        started = time.monotonic()
        answered = False
        scope = _with_slashes(scope)

        async def guarded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                _add_headers(message, scope["path"])
                seconds = time.monotonic() - started
                self._on_answer(_method_of(scope), _route_of(scope), message["status"], seconds)
            await send(message)

        try:
            self._rate.take(scope["client"][0] if scope.get("client") else "")
            self._check_site(scope, headers)
            received = await self._body(scope, headers, receive)
        except TunerError as error:
            await told(Request(scope), fault_of(error))(scope, receive, guarded)
            return
        try:
            await self._app(scope, received, guarded)
        except Exception as error:
            # Outside of this the framework would answer, without the headers.
            if answered:
                raise
            await failed(Request(scope), error)(scope, receive, guarded)

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """A page of another site must neither read, by a name that it points here, nor write."""
        host = headers.get("host", "")
        if not self._answers_to(_name_of(host)):
            raise OtherName(f"this service does not answer to the name {host[:100]!r}: `tuner serve --name` adds names")
        if scope["method"] in _READING:
            return
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign or (origin is not None and urlsplit(origin).netloc != host):
            raise ScopeTooSmall("a page of another site may not do this")

    def _answers_to(self, name: str) -> bool:
        allowed = self._settings.allowed_hosts
        if self._settings.on_loopback:
            return is_loopback_host(name) or name in allowed
        return not allowed or name in allowed

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """The body as a whole, so that no route sees one that is too large."""
        if scope["method"] in _READING:
            return receive
        most = self._settings.max_body_bytes
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > most:
            raise TooLarge(f"a request may have {most} bytes, but this one has {length[:20]}")
        body = bytearray()
        with anyio.move_on_after(_BODY_SECONDS) as waiting:
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > most:
                    raise TooLarge(f"a request may have {most} bytes, but this one has more")
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    break
        if waiting.cancelled_caught:
            raise TooSlow(f"the request took more than {_BODY_SECONDS:g} s to arrive")
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return again


def _route_of(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "other"))


def _method_of(scope: Scope) -> str:
    # Anything can be sent as a method.
    return scope["method"] if scope["method"] in _METHODS else "other"


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _with_slashes(scope: Scope) -> Scope:
    """A slash in a name is kept apart from those between names."""
    raw = scope.get("raw_path") or b""
    if not _SLASH_IN_NAME.search(raw):
        return scope
    path = _SLASH_IN_NAME.sub(SLASH.encode(), raw.partition(b"?")[0])
    return {**scope, "path": unquote(path.decode("utf-8", "replace"))}


def _add_headers(message: Message, path: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    top = "/" + path.lstrip("/").partition("/")[0]
    headers.setdefault("Content-Security-Policy", _FOREIGN_POLICIES.get(top, _POLICY))
    if top == "/api":
        headers.setdefault("Cache-Control", "no-store")
