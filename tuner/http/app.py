"""The application: routes, errors, and the database that is open while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from fastapi import Depends, FastAPI

from storage.connecting import connect
from storage.tokens import live_tokens
from tuner.http.access import Access, needs
from tuner.http.coalescing import Crowd
from tuner.http.dashboard import Dashboard
from tuner.http.exports import Exports
from tuner.http.feeds import Feeds
from tuner.http.guard import Guard
from tuner.http.handlers import add_handlers
from tuner.http.metrics import ServiceMetrics
from tuner.http.openapi import DescribedApi
from tuner.http.pages import sign_in, static_files
from tuner.http.pages.routing import FOR_READERS
from tuner.http.rate import Rate
from tuner.http.reads import Reads
from tuner.http.routes import champions, charts, dashboard, docs, events, exports, health, studies, trials, workers
from tuner.http.routes import metrics as metric_routes
from tuner.http.service import Service
from tuner.http.settings import ServiceSettings

# A minute, of one client.
_SIGN_INS = 10
# Specs at the same time.
_CHECKS = 2


def create_app(settings: ServiceSettings) -> FastAPI:
    """The service as an ASGI application; it opens its database when it starts.

    Raises at its start:
        StorageError: the database cannot be used.
    """

    metrics = ServiceMetrics()

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        database = connect(
            settings.storage, create=True, connections=settings.threads, answer_seconds=settings.answer_seconds
        )
        reads = Reads(settings.threads)
        access = Access(settings, reads, partial(live_tokens, database))
        feeds = Feeds(database, reads, settings.feed_seconds, settings.feeds)
        opened = Dashboard(settings.storage)
        exports = Exports(settings.storage)
        app.state.service = Service(
            settings,
            database,
            reads,
            access,
            feeds,
            metrics,
            opened,
            exports,
            anyio.CapacityLimiter(1),
            anyio.CapacityLimiter(_CHECKS),
            Rate(_SIGN_INS),
        )
        try:
            yield
        finally:
            await feeds.close()
            await exports.close()
            opened.close()
            database.close()

    app = DescribedApi(lifespan=running)
    add_handlers(app)
    app.add_middleware(Crowd)
    app.add_middleware(Guard, settings=settings, on_answer=metrics.answered)
    app.include_router(health.router)
    app.include_router(docs.router)
    for routes in (trials, charts, events, studies, exports, workers, champions, metric_routes, dashboard):
        app.include_router(routes.router, dependencies=[Depends(needs("read"))])
    app.include_router(studies.spaces, dependencies=[Depends(needs("read"))])
    app.include_router(static_files.router)
    app.include_router(sign_in.router)
    for pages in FOR_READERS:
        app.include_router(pages, dependencies=[Depends(needs("read"))])
    return app
