"""Live progress as server-sent events."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from tuner.http.parameters import Answers, Study

router = APIRouter(prefix="/api/v1/studies/{study}", tags=["events"])
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@router.get("/events", response_class=Response, responses=_STREAM, summary="Follow a study")
async def events(service: Answers, study: Study) -> Response:
    """Streams what happens in a study as server-sent events (`text/event-stream`).

    The events are `status`, `trial` and, when the study ends, `end`. Their data is the JSON of the study's status or of
    the trial that has ended. While the database cannot be reached, the stream sends an `away` event with the error.
    Every connection begins with the current status.
    """
    feed = await service.feeds.subscribe(study)
    return StreamingResponse(
        feed, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
