"""Routes that tell whether the service is running and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from tuner.http.parameters import Answers
from tuner.processes.versions import own_version

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=dict[str, str], summary="Check whether the service runs")
async def health() -> Response:
    """Confirms that the service's process answers."""
    return JSONResponse({"status": "ok", "version": own_version()})


@router.get("/readyz", response_model=dict[str, str], summary="Check readiness")
async def ready(service: Answers) -> Response:
    """Confirms that the database answers too. The status is 503 while it does not."""
    await service.reads.ask("clock", service.database.clock)
    return JSONResponse({"status": "ready", "database": service.database.dialect})
