"""Connections that send nothing, or half a request, do not keep others out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEADER_SECONDS = 10.0
# The service answers sooner that a body came too late.
_BODY_SECONDS = 35.0
# Of one client, that wait for a request: browsers have six or so.
_MOST_WAITING = 100


class BoundedConnection(HttpToolsProtocol):
    """A connection that is closed if a request does not arrive in time.

    Of one client's connections without a whole request only the newest 100 stay open, so that one that begins many
    takes away its own, and others find the service. Those whose request is being answered do not count, and neither do
    those of declared proxies, through which everybody comes.
    """

    _waiting: ClassVar[dict[Hashable, OrderedDict[BoundedConnection, None]]] = {}
    _late: asyncio.TimerHandle | None = None
    _client: Hashable = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        is_proxy = self.config.proxy_headers and address in self.config.forwarded_allow_ips
        self._client = (self if is_proxy else self.loop, address)
        self._wait(_HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait(_HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._wait(_BODY_SECONDS)

    def on_message_complete(self) -> None:
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            # uvicorn closes it sooner; until then it counts.
            self._wait(self.timeout_keep_alive + 1)

    def _wait(self, seconds: float) -> None:
        """From now on, that long, for the next part of a request."""
        self._arrived()
        self._late = self.loop.call_later(seconds, self._close)
        waiting = self._waiting.setdefault(self._client, OrderedDict())
        waiting[self] = None
        if len(waiting) > _MOST_WAITING:
            next(iter(waiting))._close()

    def _arrived(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        waiting = self._waiting.get(self._client)
        if waiting is not None:
            waiting.pop(self, None)
            if not waiting:
                del self._waiting[self._client]

    def _close(self) -> None:
        self._arrived()
        # Not close(), which waits until what was written has been read.
        self.transport.abort()
