"""The list of studies."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from tuner import queries
from tuner.http.pages.templating import page
from tuner.http.parameters import Answers, Cursor

router = APIRouter(include_in_schema=False)
_STUDIES = 30


@router.get("/")
async def studies(request: Request, service: Answers, cursor: Cursor = None) -> Response:
    found = await service.found(queries.study_page, limit=_STUDIES, cursor=cursor)
    return page(request, "studies.html", studies=found, first=cursor is None)
