"""Answers what a trial process says while it runs: hyperparameters and epochs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from storage import leases
from storage.spending import may_go_on
from tuner.spec.constraints import broken
from tuner.spec.objective import EXECUTION
from tuner.study.open_study import OpenStudy
from tuner.trial.messages import Building, Built, Decision, EpochDone, Suggest, Suggested, Verdict
from tuner.worker.closing import MOST_KEPT, reaches_target
from tuner.worker.metrics import WorkerMetrics
from tuner.worker.patience import Patience
from tuner.worker.promoting import Promotion
from tuner.worker.remaining_time import RemainingTime
from tuner.worker.running import RunningTrial

_log = logging.getLogger(__name__)


class Answerer:
    """Writes down what a trial reports, then answers.

    Args:
        stopping: whether the study's trials shall leave after their epoch.
        remaining: of the study's timeout; once it is over, a trial ends with its epoch.
    """

    def __init__(
        self,
        study: OpenStudy,
        patiently: Patience,
        stopping: Callable[[], bool],
        remaining: RemainingTime,
        metrics: WorkerMetrics,
        promotion: Promotion,
    ) -> None:
        self._study = study
        self._patiently = patiently
        self._stopping = stopping
        self._remaining = remaining
        self._metrics = metrics
        self._promotion = promotion

    def answer(self, running: RunningTrial, message: Building | Suggest | Built | EpochDone) -> None:
        """Raises LeaseLost when another worker has the trial."""
        if isinstance(message, Suggest):
            self._suggest(running, message)
        elif isinstance(message, EpochDone):
            self._record(running, message)
        elif isinstance(message, Built):
            running.parameters = message.parameters
            self._metrics.starting_seconds.inc(time.monotonic() - running.started)
        else:
            waited = time.monotonic() - running.started
            _log.debug("trial %d: building the model begins %.3f s after the start", running.number, waited)

    def _suggest(self, running: RunningTrial, asked: Suggest) -> None:
        try:
            value = self._patiently(self._draw, running, asked)
            running.process.send(Suggested(value=value))
        except ValueError as error:
            running.process.send(Suggested(error=f"hyperparameter {asked.name}: {error}"))

    def _draw(self, running: RunningTrial, asked: Suggest) -> Any:
        return running.live.suggest(asked.name, asked.distribution, asked.value)

    def _record(self, running: RunningTrial, done: EpochDone) -> None:
        if running.epochs == 0:
            self._remaining.heard_first_epoch(time.monotonic() - running.started)
        running.epochs = done.epoch
        # A `fit` of one's own may return the objective at its end.
        value = done.value
        metrics = done.metrics
        if self._study.spec.training.executions_per_trial > 1:
            metrics = {EXECUTION: done.execution + 1.0, **metrics}
        self._patiently(leases.record_epoch, self._study.database, running.lease, done.epoch, metrics, done.seconds)
        self._metrics.epochs.inc()
        self._metrics.training_seconds.inc(done.seconds)
        # The first execution stands for the trial among the other trials' first ones. Optuna takes intermediate values
        # of one objective only: TPE fails on a trial that has others.
        pruned = False
        if value is not None and done.execution == 0 and len(self._study.spec.objectives) == 1:
            pruned = self._patiently(running.live.report, done.epoch, value) and not self._is_whole(done)
        paused = self._patiently(self._promotion.pauses, running, done)
        decision = self._decide(running, done, pruned, paused)
        keeps = value is None or decision not in ("prune", "pause") or self._patiently(self._ranks, value)
        running.process.send(Verdict(epoch=done.epoch, decision=decision, keeps_model=keeps))

    def _is_whole(self, done: EpochDone) -> bool:
        """Whether nothing is left of the trial that pruning could save."""
        training = self._study.spec.training
        return done.epoch == training.epochs and training.executions_per_trial == 1

    def _ranks(self, value: float) -> bool:
        """Whether a trial of this value that is pruned or paused would be among those whose models are kept."""
        study = self._study
        maximize = study.spec.objective.direction == "maximize"
        better = leases.better_kept(study.database, study.id, value, maximize=maximize)
        return better < (study.spec.keep_checkpoints or MOST_KEPT)

    def _decide(self, running: RunningTrial, done: EpochDone, pruned: bool, paused: bool) -> Decision:
        if self._stopping():
            running.stop_sent = True
            return "stop"
        if self._reaches_target(running, done) or self._remaining.is_over:
            return "finish"
        if paused:
            return "pause"
        if pruned:
            return "prune"
        return "continue" if self._is_allowed(running, done) else "finish"

    def _is_allowed(self, running: RunningTrial, done: EpochDone) -> bool:
        """Whether the study's budget has another epoch for the trial, if it needs one."""
        # What is stored already, and is trained once more, counts once.
        if self._is_whole(done) or done.epoch < running.assignment.recorded:
            return True
        return self._patiently(may_go_on, self._study.database, running.lease)

    def _reaches_target(self, running: RunningTrial, done: EpochDone) -> bool:
        """Whether training can end here: a model beyond a bound may yet come within it."""
        known = done.metrics | ({} if running.parameters is None else {"parameters": float(running.parameters)})
        value, spec = done.value, self._study.spec
        return value is not None and reaches_target(spec, value) and not broken(spec.limits, known)
