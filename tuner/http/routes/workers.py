"""Workers of every study, and those that wait for one."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from storage.standing import StandingPool
from tuner import queries
from tuner.http.parameters import Answers, Cursor, Limit
from tuner.queries.paging import USUAL_PAGE, Page
from tuner.queries.workers import LiveWorker

router = APIRouter(prefix="/api/v1", tags=["workers"])


@router.get("/workers", response_model=Page[LiveWorker], summary="List live workers")
async def list_live_workers(service: Answers, limit: Limit = USUAL_PAGE, cursor: Cursor = None) -> Response:
    """Lists the live workers of all studies, page by page, each with the study that it is working on."""
    return await service.answer(Page[LiveWorker], queries.worker_page, limit=limit, cursor=cursor)


@router.get("/pools", response_model=list[StandingPool], summary="List standing workers")
async def list_pools(service: Answers) -> Response:
    """Lists the live standing workers (`tuner work --any`), each with the study that it is working on, if any."""
    return await service.answer(list[StandingPool], queries.list_pools)
