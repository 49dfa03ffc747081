"""The workers of every study that live."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from tuner import queries
from tuner.http.pages.templating import page
from tuner.http.parameters import Answers, Cursor

router = APIRouter(include_in_schema=False)


@router.get("/workers")
async def workers(request: Request, service: Answers, cursor: Cursor = None) -> Response:
    found = await service.found(queries.worker_page, cursor=cursor)
    return page(request, "workers.html", workers=found, first=cursor is None)
