"""Waiting for what other processes do: only their state can be asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


def within(seconds: float, condition: Callable[[], Any], *, pause: float = 0.1) -> Any:
    """What a condition gives once it is true; it is asked for every ``pause`` seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(pause)
    return answer
