"""Handles termination: SIGTERM is treated like Ctrl-C, and signals set events."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C, so that nothing half-written stays."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


class SignalEvent(threading.Event):
    """An event that a signal's handler may set.

    A handler runs in the middle of whatever the main thread does, which may hold the event's own lock to wait for it
    or to set it. So a thread sets it; the queue is one that a handler may write to at any time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def set_by_handler(self, *_: object) -> None:
        """``set``, a moment later. Takes a handler's arguments."""
        self._heard.put(None)

    def _listen(self) -> None:
        self._heard.get()
        self.set()
