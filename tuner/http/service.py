"""The objects that every route uses: the open database, the settings, and the threads that query the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from fastapi import Request
from starlette.responses import Response

from storage.database import Database
from tuner.http.access import Access
from tuner.http.dashboard import Dashboard
from tuner.http.exports import Exports
from tuner.http.feeds import Feeds
from tuner.http.metrics import ServiceMetrics
from tuner.http.rate import Rate
from tuner.http.reads import Reads
from tuner.http.settings import ServiceSettings
from tuner.json_codec import as_json
from tuner.spec.policy import SpecPolicy

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Service:
    """A running service."""

    settings: ServiceSettings
    database: Database
    reads: Reads
    access: Access
    feeds: Feeds
    metrics: ServiceMetrics
    dashboard: Dashboard
    exports: Exports
    launches: anyio.CapacityLimiter
    checks: anyio.CapacityLimiter
    sign_ins: Rate

    @property
    def policy(self) -> SpecPolicy:
        """What specs from outside may name."""
        settings = self.settings
        return SpecPolicy(
            frozenset(settings.spaces),
            settings.data_roots,
            frozenset(settings.launchers),
            settings.max_workers,
            settings.max_trials,
            settings.max_prepared_bytes,
        )

    async def launching(self, function: Callable[[], _Result]) -> _Result:
        """Calls what starts a process with TensorFlow: one at a time, and apart from the questions."""
        return await to_thread.run_sync(function, limiter=self.launches)

    async def checking(self, function: Callable[[], _Result]) -> _Result:
        """Calls what reads a spec or looks at its data, which can be large: apart from the questions."""
        return await to_thread.run_sync(function, limiter=self.checks)

    async def found(self, ask: Callable[..., _Result], *arguments: Any, **options: Any) -> _Result:
        """What a function of ``tuner.api`` gives; asked once for all who ask it at the same time.

        Args:
            arguments, options: for ``ask``; ``storage`` is the service's.
        """
        key = ("found", ask, arguments, tuple(sorted(options.items())))
        return await self.reads.ask(key, partial(ask, *arguments, storage=self.database, **options))

    async def answer(self, kind: Any, ask: Callable[..., Any], *arguments: Any, **options: Any) -> Response:
        """What a function of ``tuner.api`` gives, as JSON; asked once for all who ask it at the same time.

        Args:
            kind: the type of what it gives.
            arguments, options: for ``ask``; ``storage`` is the service's.
        """
        key = (ask, arguments, tuple(sorted(options.items())))

        def asked() -> bytes:
            return as_json(kind, ask(*arguments, storage=self.database, **options))

        return Response(await self.reads.ask(key, asked), media_type="application/json")

    async def done(self, kind: Any, do: Callable[..., Any], *arguments: Any, **options: Any) -> Response:
        """``answer`` for what changes something: done each time."""

        def doing() -> bytes:
            return as_json(kind, do(*arguments, storage=self.database, **options))

        return Response(await self.reads.run(doing), media_type="application/json")


async def service_of(request: Request) -> Service:
    """The service that answers a request."""
    found: Service = request.app.state.service
    return found
