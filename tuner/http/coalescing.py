"""Equal requests that come at the same time are answered once, as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.errors import StorageError
from tuner.errors import TunerError
from tuner.http.access import is_forwarded, secret_of

# The route that it was, for the counts, and the answer.
_Answer = tuple[Any, list[Message]]
# Their answers are streams.
_STREAMS = ("/events", "/log", "/download")


class Crowd:
    """Lets one of several equal reading requests through to the application, and gives its answer to all.

    A request waits for an answer that was begun after it came, so that none is older than its request. Equal is what
    has the same address and comes from the same caller. Who that is, is decided for each request before it waits for
    anything: one that may not ask is let through alone, and is refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: dict[Hashable, asyncio.Task[_Answer]] = {}
        self._next: dict[Hashable, asyncio.Task[_Answer]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await _caller(scope) if _is_shared(scope) else None
        if caller is None:
            await self._app(scope, receive, send)
            return
        key = (scope["path"], scope["query_string"], caller)
        task = self._next.get(key)
        if task is None:
            running = self._running.get(key)
            task = asyncio.create_task(self._answered(key, scope, running))
            (self._running if running is None else self._next)[key] = task
        # Others wait for it too: one who leaves does not take it away from them.
        route, messages = await asyncio.shield(task)
        scope["route"] = route
        for message in messages:
            # Whoever is next on the way out adds headers to it.
            await send(dict(message) | ({"headers": list(message["headers"])} if "headers" in message else {}))

    async def _answered(self, key: Hashable, scope: Scope, before: asyncio.Task[_Answer] | None) -> _Answer:
        if before is not None:
            await asyncio.wait([before])
            self._running[key] = self._next.pop(key)
        messages: list[Message] = []

        async def kept(message: Message) -> None:
            messages.append(message)

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        try:
            await self._app(scope, nothing, kept)
            return scope.get("route"), messages
        finally:
            if self._running.get(key) is asyncio.current_task():
                del self._running[key]


async def _caller(scope: Scope) -> Hashable | None:
    """Who asks, by the token and the way by which the request came; None if they may not ask."""
    request = Request(scope)
    secret, forwarded = secret_of(request), is_forwarded(request)
    try:
        caller = await request.app.state.service.access.identified(secret, forwarded)
    except (TunerError, StorageError):
        return None
    return caller, secret, forwarded


def _is_shared(scope: Scope) -> bool:
    path: str = scope.get("path", "")
    reading = scope["type"] == "http" and scope["method"] == "GET" and path.startswith("/api/")
    # One that waits for an end would have the others wait for the next.
    return reading and not path.endswith(_STREAMS) and b"wait=" not in scope["query_string"]
