"""The trial process's end of the pipe to its worker."""

from __future__ import annotations

import os
import queue
import threading
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution, distribution_to_json

from tuner.processes.termination import SignalEvent
from tuner.trial.messages import (
    Stop,
    Suggest,
    Suggested,
    Verdict,
    receive_from_worker,
    send,
)
from tuner.trial.pulse_file import PulseFile

WORKER_GONE = 75


class NoSuggestion(Exception):
    """The study has no value for a hyperparameter."""


class Channel:
    """Asks the worker, and listens to it while training computes.

    A thread reads everything the worker sends, so that a stop is seen within a batch and the death of the worker ends
    this process at once, whether that thread or a ``send`` meets it first.

    Attributes:
        pulse: where the worker sees how training comes along without a message; None where nobody looks.
    """

    def __init__(self, connection: Connection, pulse: PulseFile | None = None) -> None:
        self._connection = connection
        self.pulse = pulse
        self._suggestions: queue.SimpleQueue[Suggested] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        self.stop_requested = SignalEvent()
        threading.Thread(target=self._listen, name="worker-listener", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                message = receive_from_worker(self._connection)
            except (EOFError, OSError):
                _leave_after_worker()
            if isinstance(message, Stop):
                self.stop_requested.set()
                # For who waits for a verdict.
                self._verdicts.put(Verdict(epoch=0, decision="stop"))
            elif isinstance(message, Suggested):
                self._suggestions.put(message)
            else:
                self._verdicts.put(message)

    def send(self, message: Any) -> None:
        tell_worker(self._connection, message)

    def suggest(self, name: str, distribution: BaseDistribution, value: Any = None) -> Any:
        """The trial's value of a hyperparameter.

        Raises:
            NoSuggestion: the study cannot give one. It is not the space's mistake, as a ValueError in ``build`` is.
        """
        # A value from numpy is not JSON.
        plain = value.item() if hasattr(value, "item") else value
        self.send(Suggest(name=name, distribution=distribution_to_json(distribution), value=plain))
        answer = self._suggestions.get()
        if answer.error is not None:
            raise NoSuggestion(answer.error)
        return answer.value

    def verdict(self, epoch: int, wait_seconds: float) -> Verdict | None:
        """The worker's verdict on an epoch that it was sent, or the last one on an earlier epoch that came late.

        A worker that does not answer in time (its database is away) costs a pause, not the trial: None, and training
        goes on.
        """
        verdict = None
        try:
            while True:
                verdict = self._verdicts.get(timeout=wait_seconds)
                if verdict.epoch >= epoch or verdict.decision != "continue":
                    return verdict
        except queue.Empty:
            return verdict


def tell_worker(connection: Connection, message: Any) -> None:
    """Sends a message, or ends this process where the worker has gone."""
    try:
        send(connection, message)
    except OSError:
        _leave_after_worker()


def end_with_worker(connection: Connection) -> None:
    """Ends this process as soon as its worker has gone, which sends nothing before."""

    def listen() -> None:
        connection.poll(None)
        _leave_after_worker()

    threading.Thread(target=listen, name="worker-listener", daemon=True).start()


def _leave_after_worker() -> NoReturn:
    """Ends this process at once: nobody waits for what it does, and a broken pipe is no failure of the trial."""
    os._exit(WORKER_GONE)
