"""Processes many files in several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_CHUNK = 64
_MAX_THREADS = 16


def map_chunks(work: Callable[[range], Result], length: int) -> Iterator[Result]:
    """Calls ``work`` on consecutive pieces of ``range(length)``, several at a time.

    Threads, because hashing, decoding and file access release the interpreter's lock.

    Yields:
        The results in order. When the caller stops, or a call fails, no further piece is started.
    """
    pieces = [range(start, min(start + _CHUNK, length)) for start in range(0, length, _CHUNK)]
    pool = ThreadPoolExecutor(min(_MAX_THREADS, len(os.sched_getaffinity(0))))
    try:
        yield from pool.map(work, pieces)
    finally:
        pool.shutdown(cancel_futures=True)
