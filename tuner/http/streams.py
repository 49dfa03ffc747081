"""Sends long answers piece by piece, as they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial

from starlette.responses import Response, StreamingResponse

from tuner.http.service import Service


async def streamed(
    service: Service,
    pieces: Callable[[], Iterator[bytes]],
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The pieces as they come. What goes wrong before the first one is an error as any other."""
    found = await service.reads.run(pieces)
    following = partial(next, found, None)
    first = await service.reads.run(following)

    async def all_of_them() -> AsyncIterator[bytes]:
        piece = first
        while piece is not None:
            yield piece
            piece = await service.reads.run(following)

    return StreamingResponse(all_of_them(), media_type=media_type, headers=dict(headers or {}))
