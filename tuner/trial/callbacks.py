"""Callbacks of a trial. They are stateful: each attempt makes its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import keras
import numpy as np

from tuner.spec.objective import Objective
from tuner.trial import resume
from tuner.trial.callback_states import restore_states, states_of
from tuner.trial.channel import Channel
from tuner.trial.failure import Diverged, Interrupted
from tuner.trial.messages import EpochDone
from tuner.trial.resume import Epoch, Progress, Snapshot
from tuner.trial.resume_writer import ResumeWriter
from tuner.trial.scored_weights import ScoredWeights
from tuner.trial.state import assign, restore, state_of, values_of
from tuner.trial.worth import best_epoch


class DivergenceGuard(keras.callbacks.Callback):
    """Ends the trial at the first loss that is not a finite number."""

    # Keras calls it beside the training, not between two steps; what it raises surfaces a step or two later.
    async_safe = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for name, loss in losses_of(logs or {}).items():
            if not math.isfinite(float(loss)):
                raise Diverged(f"the {name} is {float(loss)} in batch {batch + 1}")


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


class BatchWitness(keras.callbacks.Callback):
    """Sees how far a ``fit`` comes.

    Attributes:
        has_trained: a training batch has been done.
        metrics: what the last epoch logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.has_trained = False
        self.metrics: dict[str, float] = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.has_trained = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.metrics = scalars(logs or {})


class Recorder(keras.callbacks.Callback):
    """Keeps the best epoch, snapshots every epoch, reports it, and does what the worker decides.

    Attributes:
        objective: of the search.
        progress: what has been achieved so far.
        best: the model's variables as the validation of its best epoch saw them; empty before the first.
        champion: likewise of the best one among the trial's earlier executions.
        decision: the worker's last decision.
        keeps_model: whether the worker wants the model of the best epoch, of a trial that it has pruned or paused.
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
        scored: ScoredWeights,
        progress: Progress,
        champion: list[np.ndarray],
        resumed: Snapshot | None,
        returns_result: bool,
    ) -> None:
        super().__init__()
        self.objective = objective
        self._channel = channel
        self._writer = writer
        self._answer_seconds = answer_seconds
        self._on_epoch = on_epoch
        self._stateful = stateful
        self._scored = scored
        self._returns_result = returns_result
        self.progress = progress
        self.champion = champion
        self.best = resumed.best if resumed else []
        self._resumed = resumed
        self.decision = "continue"
        self.keeps_model = True
        self._epoch_started = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Here, and not before `fit`: a `fit` of one's own may compile the model again.
        self.restore()
        self.progress = replace(self.progress, planned=int((self.params or {}).get("epochs") or 0))
        restore_states(self._stateful, self.progress.callbacks)

    def last_of(self, callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
        """The callbacks of a ``fit``, with this one behind all others if it is among them.

        It then sees what they have decided about an epoch and the metrics that they have added, and resumes all of
        them, those of the search space's own ``fit`` too.
        """
        others = [each for each in callbacks if each is not self]
        if len(others) == len(callbacks):
            return others
        known = {id(each) for each in self._stateful}
        self._stateful = [*self._stateful, *(each for each in others if id(each) not in known)]
        return [*others, self]

    def restore(self) -> None:
        """Gives model, optimizers and random generators what they had in the checkpoint, if there is one."""
        if self._resumed is not None:
            restore(self.model, self._resumed.state)
            resume.restore_random_state(self._resumed.randomness)

    def restore_ended(self) -> None:
        """As ``restore``, for a trial that trains no more. What ``fit`` would have compiled is not there.

        Raises:
            ValueError: the model is not the one that was trained.
        """
        try:
            self.restore()
        except ValueError as error:
            assert self._resumed is not None
            assign(self.model.variables, self._resumed.state.variables)
            print(f"the optimizer's state is not kept with the model: {' '.join(str(error).split())[:200]}", flush=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._on_epoch(epoch)
        self._epoch_started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.record(scalars(logs or {}))

    def record(self, metrics: dict[str, float]) -> None:
        """Takes one epoch's metrics.

        Raises:
            Diverged: the loss or the objective is not a finite number.
            KeyError: no such metric was logged.
            Interrupted: the worker wants the slot back.
        """
        epoch = Epoch(metrics, time.monotonic() - self._epoch_started)
        self._resumed = None
        for name, loss in losses_of(metrics).items():
            if not math.isfinite(loss):
                raise Diverged(f"the {name} is {loss}")
        self._keep_if_best(epoch)
        # The worker writes it down while this process copies and writes what the trial may be resumed from.
        self._send(self.progress.epoch, epoch)
        written = self._writer.offer(self._snapshot(), epoch.seconds)
        _print_epoch(self.progress.epoch, epoch, written)
        self._obey(self.progress.epoch)

    def is_done(self, epochs: int) -> bool:
        """Whether nothing is left to train: the trial had come to its end when it was interrupted."""
        trained = self.progress.stopping or self.progress.trained >= max(epochs, self.progress.planned)
        return self.decision != "continue" or (trained and self.progress.best_epoch > 0)

    def catch_up(self, recorded: int) -> None:
        """Tells the worker again what a worker that died may not have written down or answered.

        Args:
            recorded: how many epochs the database has. The last one is told anyway: its answer may be lost.

        Raises:
            Interrupted: the worker wants the slot back.
        """
        done = self.progress.epoch
        for index in range(min(recorded, done - 1), done):
            if index >= 0 and self.decision == "continue":
                self._report(index + 1, self.progress.history[index])

    def _report(self, number: int, epoch: Epoch) -> None:
        self._send(number, epoch)
        self._obey(number)

    def _send(self, number: int, epoch: Epoch) -> None:
        best = best_epoch(self.objective, self._logged_until(number))
        self._channel.send(
            EpochDone(
                epoch=number,
                value=None if best is None else best.value,
                execution=self.progress.execution_of(number),
                metrics=epoch.metrics,
                seconds=epoch.seconds,
            )
        )

    def _logged_until(self, number: int) -> list[dict[str, float]]:
        """What each epoch of an execution has logged, up to this one."""
        start = self.progress.starts[self.progress.execution_of(number)]
        return [each.metrics for each in self.progress.history[start:number]]

    def _obey(self, number: int) -> None:
        """Waits for the worker's verdict on an epoch, and does as it says."""
        answer = self._channel.verdict(number, self._answer_seconds)
        if answer is not None:
            self._writer.acknowledge(answer.epoch)
            # What came too late for an earlier execution says nothing about this one.
            if answer.epoch > self.progress.starts[-1] or answer.decision == "stop":
                self.decision, self.keeps_model = answer.decision, answer.keeps_model
        if self.decision == "stop" or self._channel.stop_requested.is_set():
            raise Interrupted
        if self.decision in ("prune", "pause", "finish"):
            self.model.stop_training = True

    def conclude(self, result: Any) -> None:
        """Takes what ``fit`` returned, where its epochs have not given the objective.

        Without epochs it is recorded as one; else it belongs to the last one.

        Raises:
            TypeError: it is not what a ``fit`` may return.
            KeyError, Diverged: as for an epoch.
        """
        if self.progress.best_epoch:
            return
        metrics = returned_metrics(result, self.objective.metric)
        if self.progress.trained == 0:
            # There is nothing to go on from: a trial that is taken up now has been trained.
            self.model.stop_training = True
            self.record(metrics)
            return
        metrics = {**self.progress.history[-1].metrics, **metrics}
        value = objective_value(self.objective, metrics)
        self._take(self.progress.epoch, value, metrics, values_of(self.model.variables))

    def _keep_if_best(self, epoch: Epoch) -> None:
        self.progress = replace(
            self.progress, history=(*self.progress.history, epoch), stopping=bool(self.model.stop_training)
        )
        if self.objective.metric not in epoch.metrics and self._returns_result:
            return
        objective_value(self.objective, epoch.metrics)
        number = self.progress.epoch
        best = best_epoch(self.objective, self._logged_until(number))
        assert best is not None
        if self.progress.starts[-1] + best.number == number:
            self._take(number, best.value, epoch.metrics, self._scored.behind(self.objective.metric, epoch.metrics))
        # The first epoch is worth less, or more, once there is a second one.
        self.progress = replace(self.progress, best_value=best.value)

    def _take(self, number: int, value: float, metrics: dict[str, float], variables: list[np.ndarray]) -> None:
        self.best = variables
        self.progress = replace(self.progress, best_epoch=number, best_value=value, best_metrics=metrics)

    def _snapshot(self) -> Snapshot:
        self.progress = replace(self.progress, callbacks=states_of(self._stateful))
        return Snapshot(
            progress=self.progress,
            state=state_of(self.model),
            best=self.best,
            randomness=resume.random_state(),
            champion=self.champion,
        )

    def best_of_all(self) -> list[np.ndarray]:
        """The variables of the best model of the trial's executions, this one included."""
        ended = self.progress.ended
        value = self.progress.best_value
        beaten = value is None or any(not self.objective.better(value, than=each.value) for each in ended)
        return self.champion if ended and beaten else self.best


def losses_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """``loss``, or what stands for it where ``train_step`` is the model's own."""
    return {name: value for name, value in metrics.items() if name.endswith("loss")}


def scalars(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are one number; one by class, for example, is not."""
    return {str(name): float(np.asarray(value).item()) for name, value in metrics.items() if np.size(value) == 1}


def returned_metrics(result: Any, objective: str) -> dict[str, float]:
    """The metrics that a ``fit`` returned, as KerasTuner reads them; of a History those of its last epoch.

    Raises:
        TypeError: it returned neither a History, nor a dict of numbers, nor a number, nor a list of these.
    """
    if isinstance(result, list) and result:
        each = [returned_metrics(one, objective) for one in result]
        common = [name for name in each[0] if all(name in metrics for metrics in each)]
        return {name: fmean(metrics[name] for metrics in each) for name in common}
    if isinstance(result, keras.callbacks.History):
        return scalars({name: values[-1] for name, values in result.history.items()})
    if isinstance(result, Mapping):
        return scalars(result)
    if isinstance(result, int | float | np.number):
        return {objective: float(result)}
    raise TypeError(
        f"fit returned {type(result).__name__}, and its epochs do not log {objective}; pass callbacks to model.fit, "
        "or return a History, a dict of metrics or the objective's value, or a list of these"
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


def _print_epoch(number: int, epoch: Epoch, written: bool) -> None:
    # Keras's own line for a log file (verbose=2) would cost a conversion of every metric in every step.
    listed = " - ".join(f"{name}: {value:.4g}" for name, value in epoch.metrics.items())
    print(f"Epoch {number} - {epoch.seconds:.1f}s - {listed}{' - resume checkpoint' if written else ''}", flush=True)
