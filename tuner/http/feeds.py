"""Live feeds: each study is looked at once for all who watch it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from storage.database import Database
from storage.errors import StorageError, UnknownStudy
from storage.leaderboard import TrialSummary
from storage.progress import StudyStatus
from tuner.errors import TooOften
from tuner.http.error_responses import fault_of
from tuner.http.reads import Reads
from tuner.json_codec import as_json
from tuner.queries.feed import Feed, FeedEvent

_LOG = logging.getLogger("tuner.http")
_HEARTBEAT_SECONDS = 15.0
# Between two looks at whether a reader may still read.
_ALLOWED_SECONDS = 0.4
_FULL_WAIT_SECONDS = 30
# A reader who is so far behind is let go; its browser comes again and begins with the status of that moment.
_BEHIND = 200
_CLOSED = b""


@dataclass
class _Watched:
    readers: set[asyncio.Queue[bytes]] = field(default_factory=set)
    ended: bool = False
    status: StudyStatus | None = None
    task: asyncio.Task[None] | None = None


class Feeds:
    """Studies that somebody watches.

    Args:
        seconds: between two looks.
        most: readers at the same time.
    """

    def __init__(self, database: Database, reads: Reads, seconds: float, most: int) -> None:
        self._database = database
        self._reads = reads
        self._seconds = seconds
        self._most = most
        self._watched: dict[str, _Watched] = {}
        self.readers = 0

    async def subscribe(self, study: str, is_allowed: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """What happens in a study from now on, as server-sent events, while the reader may read.

        Args:
            is_allowed: asked about twice a second.

        Raises:
            UnknownStudy: there is none of this name.
            TooOften: there are too many readers.
        """
        if self.readers >= self._most:
            raise TooOften(_FULL_WAIT_SECONDS, f"{self._most} live feeds are open already: try again later")
        watched = self._watched.get(study)
        if watched is None:
            feed = Feed(study, self._database)
            first = await self._reads.run(feed.look)
            watched = self._watched.setdefault(study, _Watched())
            if watched.task is None:
                watched.status = first[-1].status
                watched.ended = first[-1].kind == "end"
                watched.task = asyncio.create_task(self._watch(study, watched, feed))
        return self._read(study, watched, is_allowed)

    async def close(self) -> None:
        """Ends every feed."""
        for study in list(self._watched):
            self._end(study)

    async def _read(
        self, study: str, watched: _Watched, is_allowed: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(_BEHIND)
        watched.readers.add(queue)
        self.readers += 1
        try:
            if watched.status is not None:
                yield _as_text(FeedEvent("status", watched.status))
                if watched.ended:
                    yield _as_text(FeedEvent("end", watched.status))
                    return
            heard = time.monotonic()
            while await is_allowed():
                try:
                    async with asyncio.timeout(_ALLOWED_SECONDS):
                        piece = await queue.get()
                except TimeoutError:
                    if time.monotonic() - heard < _HEARTBEAT_SECONDS:
                        continue
                    piece = b": here\n\n"
                if piece == _CLOSED:
                    return
                heard = time.monotonic()
                yield piece
        finally:
            self.readers -= 1
            watched.readers.discard(queue)
            if not watched.readers and self._watched.get(study) is watched:
                self._end(study)

    async def _watch(self, study: str, watched: _Watched, feed: Feed) -> None:
        while not watched.ended:
            await asyncio.sleep(self._seconds)
            if not watched.readers:
                break
            try:
                events = await self._reads.run(feed.look)
            except UnknownStudy:
                # It was deleted: readers who come again are told.
                break
            except StorageError as error:
                _LOG.warning("%s", error)
                self._tell(watched, [b"event: away\ndata: " + bytes(fault_of(error).as_json().body) + b"\n\n"])
                continue
            if events:
                watched.status = events[-1].status
            self._tell(watched, [_as_text(event) for event in events])
            watched.ended = any(event.kind == "end" for event in events)
        self._end(study)

    def _tell(self, watched: _Watched, pieces: list[bytes]) -> None:
        for queue in list(watched.readers):
            try:
                for piece in pieces:
                    queue.put_nowait(piece)
            except asyncio.QueueFull:
                watched.readers.discard(queue)
                queue.get_nowait()
                queue.put_nowait(_CLOSED)

    def _end(self, study: str) -> None:
        watched = self._watched.pop(study, None)
        if watched is None:
            return
        for queue in watched.readers:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(_CLOSED)
        if watched.task is not None and watched.task is not asyncio.current_task():
            watched.task.cancel()


def _as_text(event: FeedEvent) -> bytes:
    data = as_json(StudyStatus, event.status) if event.trial is None else as_json(TrialSummary, event.trial)
    return b"event: " + event.kind.encode() + b"\ndata: " + data + b"\n\n"
