"""Workers of every study."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tuner import queries
from tuner.http.parameters import Answers, Cursor, Limit
from tuner.paging import Page
from tuner.queries import USUAL_PAGE, LiveWorker

router = APIRouter(prefix="/api/v1/workers", tags=["workers"])


@router.get("", response_model=Page[LiveWorker])
async def list_live_workers(service: Answers, limit: Limit = USUAL_PAGE, cursor: Cursor = None) -> Response:
    """A page of the workers that live, each with the study that it works on."""
    return await service.answer(Page[LiveWorker], queries.worker_page, limit=limit, cursor=cursor)
