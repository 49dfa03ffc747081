"""Waits for a database that is away, instead of losing what a trial has earned."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_when_event_set,
    wait_exponential,
)
from tenacity.nap import sleep_using_event

from storage.errors import DatabaseUnavailable
from tuner.worker.metrics import WorkerMetrics

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)

# What the log says of an outage while trials run.
MEANWHILE = "trials continue, and their results wait"


class Patience:
    """Repeats database work until the database answers or the worker is told to leave.

    Everything it is given must be safe to repeat: a commit whose answer was lost may have happened.

    Args:
        meanwhile: what the worker does until then, for its log.
        metrics: where the time that this takes is counted.
    """

    def __init__(
        self,
        leaving: threading.Event,
        meanwhile: str = MEANWHILE,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._leaving = leaving
        self._metrics = metrics or WorkerMetrics()
        self._meanwhile = meanwhile

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises DatabaseUnavailable only when the worker is leaving and the database is still away."""
        retrying = Retrying(
            retry=retry_if_exception_type(DatabaseUnavailable),
            wait=wait_exponential(multiplier=0.2, max=5),
            stop=stop_when_event_set(self._leaving),
            sleep=sleep_using_event(self._leaving),
            before_sleep=self._say_once,
            reraise=True,
        )
        with self._metrics.waiting_for_database():
            answer = retrying(work, *args, **kwargs)
        if retrying.statistics.get("attempt_number", 1) > 1:
            _log.info("the database is back")
        return answer

    def _say_once(self, state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            _log.warning("%s; %s", state.outcome.exception(), self._meanwhile)
