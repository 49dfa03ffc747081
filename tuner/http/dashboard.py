"""optuna-dashboard on the service's database, asked in threads of its own. It only ever reads."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from storage.connecting import connect

# It reads whole studies: few at a time.
_THREADS = 2


class Dashboard:
    """The foreign application, opened when somebody first asks for it: it takes seconds to import.

    Args:
        url: of the database; it gets a connection and a cache of trials of its own.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opening = asyncio.Lock()
        self._wsgi: Any = None
        self._database: Any = None

    async def answer(self, request: Request) -> Response:
        """What it answers to a request that reads."""
        async with self._opening:
            if self._wsgi is None:
                self._wsgi = await to_thread.run_sync(self._open)
        return _Forwarded(self._wsgi)

    def _open(self) -> Any:
        from a2wsgi import WSGIMiddleware
        from optuna_dashboard import wsgi

        self._database = connect(self._url)
        application = wsgi(self._database.optuna)

        def quiet(environ: Any, start_response: Any) -> Iterable[bytes]:
            # Standard output is for results.
            environ["wsgi.errors"] = sys.stderr
            return application(environ, start_response)

        return WSGIMiddleware(quiet, workers=_THREADS)

    def close(self) -> None:
        """Ends its threads and connections."""
        if self._wsgi is not None:
            self._wsgi.executor.shutdown(wait=False, cancel_futures=True)
            self._database.close()


class _Forwarded(Response):
    """An answer that another application gives."""

    def __init__(self, application: Any) -> None:
        super().__init__()
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)


def dashboard_folder() -> Path:
    """Where its page and script are; 404 if it is not installed."""
    found = find_spec("optuna_dashboard")
    if found is None or found.origin is None:
        raise HTTPException(404)
    return Path(found.origin).parent
