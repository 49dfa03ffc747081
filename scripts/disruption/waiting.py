"""Waiting for what other processes do: asked for again and again, for nobody tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from storage.errors import DatabaseUnavailable

Answer = TypeVar("Answer")
_LOOK_SECONDS = 0.03
# Far more than anything takes on a busy machine: it only turns a run that hangs into one that fails.
PATIENCE_SECONDS = 300.0


class PlanFailed(Exception):
    """Something that the run itself needs did not happen, so that nothing would be shown."""


def until(question: Callable[[], Answer | None], what: str, seconds: float = PATIENCE_SECONDS) -> Answer:
    """The first answer that is true.

    Raises:
        PlanFailed: there was none in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = unless_away(question)
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise PlanFailed(f"waited {seconds:g} s in vain until {what}")
        threading.Event().wait(_LOOK_SECONDS)


def unless_away(question: Callable[[], Answer | None]) -> Answer | None:
    """The answer, or None while the database is away."""
    try:
        return question()
    except DatabaseUnavailable:
        return None
