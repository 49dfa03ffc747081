"""Questions to the database, asked in threads, each once for all who ask it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import anyio
from anyio import to_thread

_Result = TypeVar("_Result")


class Reads:
    """Asks in a bounded number of threads.

    Who asks what others ask already waits for the next time that it is asked, with all who came meanwhile: an answer
    is never older than its question, and a crowd costs two questions.
    """

    def __init__(self, threads: int) -> None:
        self._limit = anyio.CapacityLimiter(threads)
        self._running: dict[Hashable, asyncio.Task[object]] = {}
        self._next: dict[Hashable, asyncio.Task[object]] = {}

    async def run(self, function: Callable[[], _Result]) -> _Result:
        """Calls what waits for the database, in a thread."""
        return await to_thread.run_sync(function, limiter=self._limit)

    async def ask(self, key: Hashable, function: Callable[[], _Result]) -> _Result:
        """``run`` for a question; equal keys are equal questions."""
        task = self._next.get(key)
        if task is None:
            running = self._running.get(key)
            task = asyncio.create_task(self._asked(key, function, running))
            (self._running if running is None else self._next)[key] = task
        # Others wait for it too: one who leaves does not take it away from them.
        return cast(_Result, await asyncio.shield(task))

    async def _asked(
        self, key: Hashable, function: Callable[[], object], before: asyncio.Task[object] | None
    ) -> object:
        if before is not None:
            await asyncio.wait([before])
            task = self._next.pop(key)
            self._running[key] = task
        try:
            return await self.run(function)
        finally:
            if self._running.get(key) is asyncio.current_task():
                del self._running[key]
