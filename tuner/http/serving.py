"""Runs the service: until it is told to end, or as long as a block lasts."""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

import uvicorn
from fastapi import FastAPI

from tuner.errors import ServiceError
from tuner.http.app import create_app
from tuner.http.connections import BoundedConnection
from tuner.http.log import Repeats, mask_record
from tuner.http.settings import ServiceSettings

_LOGS = ("tuner.http", "uvicorn.error")
_REPEATS = Repeats()
_START_SECONDS = 60.0
_LEAVE_SECONDS = 5
# Whatever still computes then, in this thread or in another one, is left behind.
_GRACE_SECONDS = 15.0
_KEEP_ALIVE_SECONDS = 30
_CONNECTIONS = 1000


class _Server(uvicorn.Server):
    """Tells its address once it listens."""

    def __init__(self, settings: ServiceSettings, on_listening: Callable[[str], None]) -> None:
        self.app = create_app(settings)
        super().__init__(_configured(self.app, settings))
        self._on_listening = on_listening

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        # The loop may never come to hear of it.
        last = threading.Timer(_GRACE_SECONDS, os._exit, (1,))
        last.daemon = True
        last.start()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")


def _configured(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    configured = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedConnection,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LEAVE_SECONDS,
    )
    for name in _LOGS:
        logging.getLogger(name).addFilter(mask_record)
        logging.getLogger(name).addFilter(_REPEATS)
    return configured


def serve(settings: ServiceSettings, on_listening: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        on_listening: told the address, once it is listened at; port 0 in the settings is any free one.

    Raises:
        ServiceError: it could not start.
    """
    server = _Server(settings, on_listening)
    _settle()
    try:
        server.run()
    except SystemExit:
        raise _not_started(settings) from None
    if not server.started:
        raise _not_started(settings)


def _settle() -> None:
    """Keeps what was imported out of every later collection, which all requests would wait for."""
    # Charts import it when they are first asked for.
    import tuner.report.importance_chart  # noqa: F401

    gc.collect()
    gc.freeze()


def _not_started(settings: ServiceSettings) -> ServiceError:
    where = f"{settings.host} port {settings.port}"
    return ServiceError(f"the service did not start at {where}; the lines above say why. Is the port taken?")


class Serving:
    """Serves from a thread while a block lasts, which gets the address.

    Raises:
        ServiceError: it could not start.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._address: str | None = None
        self._listens = threading.Event()
        self._server = _Server(settings, self._listening)
        self.app = self._server.app
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        if not self._listens.wait(_START_SECONDS) or self._address is None:
            raise _not_started(self._settings)
        return self._address

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _listening(self, address: str) -> None:
        self._address = address
        self._listens.set()

    def _run(self) -> None:
        try:
            self._server.run()
        finally:
            self._listens.set()
