"""Live progress as server-sent events."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from tuner.http.parameters import Answers, Study

router = APIRouter(prefix="/api/v1/studies/{study}", tags=["events"])


@router.get("/events", response_class=Response)
async def events(service: Answers, study: Study) -> Response:
    """What happens in a study, as text/event-stream: `status`, `trial` and, at the end, `end`.

    Their data is the JSON of the study's status or of the trial that has ended. While the database is away there is an
    event `away` with the error. A connection begins with the status of the moment.
    """
    feed = await service.feeds.subscribe(study)
    return StreamingResponse(
        feed, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
