"""Callbacks of a trial. They are stateful: each attempt makes its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from tuner.objective import Objective
from tuner.trial import resume
from tuner.trial.channel import Channel
from tuner.trial.failure import Diverged, Interrupted
from tuner.trial.messages import EpochDone
from tuner.trial.resume import Progress, Snapshot

# What Keras's own callbacks forget in on_train_begin, and a resumed trial must remember.
_STATE = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
}
# Writing resume checkpoints may take this share of the time, but they are never further apart than this.
_CHECKPOINT_SHARE = 0.02
_CHECKPOINT_SECONDS = 60.0
_FIRST_CHECKPOINT_SECONDS = 2.0


class DivergenceGuard(keras.callbacks.Callback):
    """Ends the trial at the first loss that is not a finite number."""

    # Keras calls it beside the training, not between two steps; what it raises surfaces a step or two later.
    async_safe = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise Diverged(f"the loss is {float(loss)} in batch {batch + 1}")


class ResumeWriter:
    """Decides when a snapshot goes to disk: as often as ``_CHECKPOINT_SHARE`` of the time pays for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._latest: Snapshot | None = None
        self._written: str | None = None
        self._cost = _FIRST_CHECKPOINT_SECONDS * _CHECKPOINT_SHARE
        self._since = time.monotonic()

    def offer(self, snapshot: Snapshot) -> str | None:
        """Keeps the snapshot, and writes it if one is due. Gives the file's name if it was written."""
        self._latest, self._written = snapshot, None
        due = min(self._cost / _CHECKPOINT_SHARE, _CHECKPOINT_SECONDS)
        return self.write() if time.monotonic() - self._since >= due else None

    def write(self) -> str | None:
        """Writes the latest snapshot unless it is on disk already. Gives its name, or None before the first epoch."""
        if self._written is None and self._latest is not None:
            started = time.monotonic()
            self._written = resume.write(self._folder, self._latest)
            self._since = time.monotonic()
            self._cost = self._since - started
        return self._written


class StopListener(keras.callbacks.Callback):
    """Ends the training within a batch or two when the worker says so."""

    async_safe = True

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def check(self) -> None:
        if self._channel.stop_requested.is_set():
            raise Interrupted

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.check()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.check()


class Recorder(keras.callbacks.Callback):
    """Keeps the best epoch, snapshots every epoch, reports it, and does what the worker decides.

    Attributes:
        progress: what has been achieved so far.
        best: the model's variables at its best epoch.
        decision: the worker's last decision.
    """

    def __init__(
        self,
        *,
        objective: Objective,
        channel: Channel,
        writer: ResumeWriter,
        answer_seconds: float,
        on_epoch: Callable[[int], None],
        stateful: Sequence[keras.callbacks.Callback],
        resumed: Snapshot | None,
    ) -> None:
        super().__init__()
        self._objective = objective
        self._channel = channel
        self._writer = writer
        self._answer_seconds = answer_seconds
        self._on_epoch = on_epoch
        self._stateful = stateful
        self.progress = resumed.progress if resumed else Progress()
        self.best = (resumed.best or None) if resumed else None
        self.decision = "continue"
        self._epoch_started = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        for callback in self._stateful:
            for name, value in self.progress.callbacks.get(type(callback).__name__, {}).items():
                setattr(callback, name, value)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._on_epoch(epoch)
        self._epoch_started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.record({name: float(value) for name, value in (logs or {}).items()})

    def record(self, metrics: dict[str, float]) -> None:
        """Takes one epoch's metrics.

        Raises:
            Diverged: the loss or the objective is not a finite number.
            KeyError: no such metric was logged.
            Interrupted: the worker wants the slot back.
        """
        seconds = time.monotonic() - self._epoch_started
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise Diverged(f"the loss is {metrics['loss']}")
        self._keep_if_best(metrics)
        written = self._writer.offer(self._snapshot())
        report = EpochDone(epoch=self.progress.epoch, metrics=metrics, seconds=seconds, resume=written)
        self.decision = self._channel.report(report, self._answer_seconds)
        _print_epoch(self.progress.epoch, seconds, metrics)
        if self.decision == "stop" or self._channel.stop_requested.is_set():
            raise Interrupted
        if self.decision in ("prune", "finish"):
            self.model.stop_training = True

    def _keep_if_best(self, metrics: dict[str, float]) -> None:
        value = objective_value(self._objective, metrics)
        epoch = self.progress.epoch + 1
        best = self.progress.best_value
        if best is None or self._objective.better(value, than=best):
            self.best = resume.values_of(self.model.variables)
            self.progress = replace(self.progress, best_epoch=epoch, best_value=value, best_metrics=metrics)
        self.progress = replace(self.progress, epoch=epoch, stopping=bool(self.model.stop_training))

    def _snapshot(self) -> Snapshot:
        self.progress = replace(self.progress, callbacks=_states(self._stateful))
        return Snapshot(
            progress=self.progress,
            variables=resume.values_of(resume.training_variables(self.model)),
            best=self.best or [],
            randomness=resume.random_state(),
        )


def objective_value(objective: Objective, metrics: dict[str, float]) -> float:
    """The objective among an epoch's metrics.

    Raises:
        KeyError: it is not among them.
        Diverged: it is not a finite number.
    """
    if objective.metric not in metrics:
        raise KeyError(f"no epoch logs the objective {objective.metric!r}; logged are {', '.join(sorted(metrics))}")
    value = metrics[objective.metric]
    if not math.isfinite(value):
        raise Diverged(f"{objective.metric} is {value}")
    return value


def _print_epoch(epoch: int, seconds: float, metrics: dict[str, float]) -> None:
    # Keras's own line for a log file (verbose=2) would cost a conversion of every metric in every step.
    listed = " - ".join(f"{name}: {value:.4g}" for name, value in metrics.items())
    print(f"Epoch {epoch} - {seconds:.1f}s - {listed}", flush=True)


def _states(callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, dict[str, Any]]:
    return {
        type(callback).__name__: {name: _plain(getattr(callback, name)) for name in names if hasattr(callback, name)}
        for callback in callbacks
        for kind, names in _STATE.items()
        if type(callback) is kind
    }


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
