"""What a worker does before it begins: it has its forkserver import Keras, and runs its launcher's preflight."""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import wait

from tuner.trial.preflight import preflight_main
from tuner.worker.settings import PREFLIGHT_END
from tuner.worker.trial_process import IsolatedProcess


def stand_by(messages: int | None) -> bool:
    """Waits for the word to begin, and runs every preflight that is asked for before; False if the launcher has gone.

    Args:
        messages: the descriptor to which the messages of preflights are written, a line each.
    """
    words = sys.stdin.fileno()
    while word := _line(words):
        if not word.strip():
            return True
        assert messages is not None
        if not _run_preflight(word.decode(), words, messages):
            return False
    return False


def _run_preflight(request: str, words: int, messages: int) -> bool:
    """Whether the launcher is still there when it has ended, by itself or by a signal."""
    process = IsolatedProcess(preflight_main, request)
    try:
        while True:
            # The launcher says nothing while it waits: that there is something to read means that it has gone.
            if words in wait([process.connection, words]):
                return False
            os.write(messages, process.connection.recv_bytes() + b"\n")
    except EOFError:
        process.end(grace_seconds=5.0)
        os.write(messages, PREFLIGHT_END)
        return True
    finally:
        process.kill()


def _line(words: int) -> bytes:
    """The next line; what there is of it if the input ends. What follows it is left to whoever reads next."""
    read = bytearray()
    while not read.endswith(b"\n") and (byte := os.read(words, 1)):
        read += byte
    return bytes(read)
