"""Connections that send nothing, half a request or no end of one, or that read no answer, do not keep others out."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, ClassVar

from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEADER_SECONDS = 10.0
# The service answers sooner that a body came too late.
_BODY_SECONDS = 35.0
# Of one client, that wait for a request: browsers have six or so.
_MOST_WAITING = 100
# Longer than uvicorn waits itself, which closes a connection more kindly.
_AFTER_KEEP_ALIVE_SECONDS = 1.0
# Of address and headers, which the parser takes without end.
_MOST_HEAD_BYTES = 64 * 1024
# An answer that is too large for the buffers goes at least as fast as this.
_READ_SECONDS = 60.0
_LEAST_READ_BYTES = 32 * 1024


class BoundedConnection(HttpToolsProtocol):
    """A connection that is closed if a request does not arrive in time, or an answer is not read.

    Of one client's connections without a whole request only the newest 100 stay open, so that one that begins many
    takes away its own, and others find the service. Those whose request is being answered do not count, and neither do
    those of declared proxies, through which everybody comes.
    """

    _waiting: ClassVar[dict[Hashable, OrderedDict[BoundedConnection, None]]] = {}
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _client: Hashable = None
    # Since the last part of a body, or the last request's end.
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        is_proxy = self.config.proxy_headers and _is_one_of(tuple(self.config.forwarded_allow_ips or ()), address)
        self._client = (self if is_proxy else self.loop, address)
        self._wait(_HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > _MOST_HEAD_BYTES:
            self._close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait(_HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        super().on_headers_complete()
        self._wait(_BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        self._arrived()
        super().on_message_complete()
        # It may have been refused before its body was there.
        self._wait_for_another()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait_for_another()

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        # It stays open until that has been read.
        self._wait(self.timeout_keep_alive)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()
        self._wait_for_another()

    def _wait_for_another(self) -> None:
        """For the next request, once the last answer is whole and all but read."""
        if self.cycle is not None and self.cycle.response_complete and not self.flow.write_paused:
            self._wait(self.timeout_keep_alive + _AFTER_KEEP_ALIVE_SECONDS)

    def _watch_reading(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(_READ_SECONDS, self._go_on_if_read, left)

    def _go_on_if_read(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < _LEAST_READ_BYTES:
            self._close()
        else:
            self._watch_reading()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

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


def _is_one_of(proxies: tuple[str, ...], address: str) -> bool:
    """Whether a peer's address is one of these addresses, or in one of these networks, as uvicorn understands them."""
    return _plain(address) in _trusted(proxies)


@lru_cache(maxsize=16)
def _trusted(proxies: tuple[str, ...]) -> _TrustedHosts:
    return _TrustedHosts(list(proxies))


@lru_cache(maxsize=4096)
def _plain(address: str) -> str:
    try:
        # A socket for both families names an IPv4 peer so.
        return str(getattr(ipaddress.ip_address(address), "ipv4_mapped", None) or address)
    except ValueError:
        return address
