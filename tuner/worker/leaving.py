"""When a worker must leave: SIGTERM, SIGINT, SIGUSR1, or the word or the end of its launcher."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import Any

from tuner.processes.termination import SignalEvent
from tuner.trial.process import LEAVE_SIGNALS
from tuner.worker.settings import DRAIN_WORD

_SIGNALS = (signal.SIGINT, *LEAVE_SIGNALS)


class Leaving:
    """Turns signals and the end of standard input into an event and into something to wait for.

    Attributes:
        requested: set once the worker must leave.
        draining: set once it begins no trial any more, and leaves when those that run have ended.
        sources: what ``multiprocessing.connection.wait`` wakes up for.
    """

    def __init__(self, follow_stdin: bool) -> None:
        self.requested = SignalEvent()
        self.draining = threading.Event()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.sources: list[Any] = [self._reader, *([sys.stdin] if follow_stdin else [])]

    def __enter__(self) -> Leaving:
        # A signal alone would not end a wait: Python resumes it.
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, self.requested.set_by_handler) for number in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def hear(self, source: Any) -> None:
        """Reads what woke the worker up: a signal's byte, or the launcher's word or end."""
        if source is self._reader:
            source.recv(4096)
            self.requested.set()
        elif not (words := os.read(source.fileno(), 4096)):
            self.requested.set()
            self.sources.remove(source)
        elif DRAIN_WORD in words:
            self.draining.set()
