"""A trial on a slot: its lease, its place in Optuna, its process, and what it has reported."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from storage.leases import Lease
from tuner.trial.assignment import Assignment
from tuner.trial.messages import Stop
from tuner.worker.node.devices import SlotPlan
from tuner.worker.search.optuna_trials import LiveTrial
from tuner.worker.signs_of_life import SignsOfLife
from tuner.worker.trial_process import TrialProcess


@dataclass
class RunningTrial:
    """One attempt under way.

    Attributes:
        parameters: the model's parameter count, once it is built.
        epochs: epochs trained, over all attempts.
        fruitless: attempts since the trial's last new epoch, this one included.
        stop_sent: this worker asked the process to leave, so leaving costs no attempt.
        excused: what ended the process is no fault of the trial, and costs no attempt.
        is_pausing: it was told to be laid aside at a rung.
        words_lost: an epoch of it could not be stored, since the worker had to leave while the database was away.
            Nothing that comes after it may be stored either: whoever goes on with the trial tells all of it again.
        is_noted_silent: the database says that it has shown no sign of life for a while.
    """

    lease: Lease
    live: LiveTrial
    process: TrialProcess
    assignment: Assignment
    signs: SignsOfLife
    started: float = field(default_factory=time.monotonic)
    parameters: int | None = None
    epochs: int = 0
    fruitless: int = 1
    stop_sent: bool = False
    excused: bool = False
    is_pausing: bool = False
    words_lost: bool = False
    is_noted_silent: bool = False

    @property
    def number(self) -> int:
        return self.assignment.number

    @property
    def log(self) -> Path:
        return self.assignment.log

    @property
    def has_progressed(self) -> bool:
        """Whether this attempt has brought an epoch that no earlier one had."""
        return self.epochs > self.assignment.recorded

    def ask_to_leave(self) -> None:
        """Has the process write its checkpoint and go; without effect once it was asked."""
        if not self.stop_sent:
            self.stop_sent = True
            self.process.send(Stop())

    def overdue(self) -> bool:
        timeout = self.assignment.spec.training.trial_timeout
        return timeout is not None and time.monotonic() - self.started > timeout


@dataclass
class Slot:
    """Room for one running trial."""

    plan: SlotPlan
    running: RunningTrial | None = None
