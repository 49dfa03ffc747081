"""The live workers of every study, and the workers on standby."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from tuner import queries
from tuner.http.pages.templating import page
from tuner.http.parameters import Answers, Cursor

router = APIRouter(include_in_schema=False)
_POOLS = 100


@router.get("/workers")
async def workers(request: Request, service: Answers, cursor: Cursor = None) -> Response:
    found, pools = await asyncio.gather(
        service.found(queries.worker_page, cursor=cursor), service.found(queries.list_pools)
    )
    return page(
        request,
        "workers.html",
        workers=found,
        first=cursor is None,
        pools=pools[:_POOLS],
        more_pools=len(pools[_POOLS:]),
    )
