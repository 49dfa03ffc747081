"""Live progress as server-sent events."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from storage.errors import StorageError
from tuner.errors import NoAccess
from tuner.http.access import is_forwarded, secret_of
from tuner.http.parameters import Answers, Study

router = APIRouter(prefix="/api/v1/studies/{study}", tags=["events"])
# With what passes between two questions, a stream ends within a second.
_KNOWN_SECONDS = 0.4
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@router.get("/events", response_class=Response, responses=_STREAM, summary="Follow a study")
async def events(request: Request, service: Answers, study: Study) -> Response:
    """Streams what happens in a study as server-sent events (`text/event-stream`).

    The events are `status`, `trial` and, when the study ends, `end`. Their data is the JSON of the study's status or of
    the trial that has ended. While the database cannot be reached, the stream sends an `away` event with the error.
    Every connection begins with the current status, and ends when its token is revoked or expires.
    """
    secret, forwarded = secret_of(request), is_forwarded(request)

    async def is_allowed() -> bool:
        try:
            await service.access.identified(secret, forwarded, known_seconds=_KNOWN_SECONDS)
        except (NoAccess, StorageError):
            return False
        return True

    feed = await service.feeds.subscribe(study, is_allowed)
    return StreamingResponse(
        feed, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
