"""The route that serves metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from tuner.http.metrics import CONTENT_TYPE
from tuner.http.parameters import Answers

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=PlainTextResponse, summary="Fetch metrics")
async def metrics(service: Answers) -> Response:
    """Returns metrics about requests and the states of the studies, in the format that Prometheus reads."""
    text = await service.reads.ask("metrics", lambda: service.metrics.text(service.database))
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
