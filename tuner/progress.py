"""Live progress of a study: a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from storage.leaderboard import TrialDetail
from storage.progress import RunningTrial, StudyStatus
from tuner.api import Event
from tuner.objective import Objective
from tuner.tables import show

ReadTrial = Callable[[int], TrialDetail]
_DECODING_LINE_SECONDS = 5.0


class Progress:
    """Shows events and statuses on standard error, so that standard output stays clean.

    On a terminal it redraws one panel; elsewhere it prints a line when something has happened.
    """

    def __init__(self, objective: Objective, epochs: int, read_trial: ReadTrial) -> None:
        self._objective = objective
        self._epochs = epochs
        self._read_trial = read_trial
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=8) if sys.stderr.isatty() else None
        self._running: dict[int, RunningTrial] = {}
        self._best: dict[int, float] = {}
        self._best_value: float | None = None
        self._rate = _Rate()
        self._decoding_said = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def event(self, event: Event) -> None:
        """Prints what happens before the first trial."""
        if event.total is None:
            self._console.print(Text(event.message))
            return
        now, done = time.monotonic(), event.done or 0
        if self._live is not None:
            self._live.update(Text(f"Decoding {done:,} of {event.total:,} files" if done < event.total else ""))
        elif now - self._decoding_said > _DECODING_LINE_SECONDS:
            self._decoding_said = now
            self._console.print(Text(f"Decoding {done:,} of {event.total:,} files"))

    def status(self, status: StudyStatus) -> None:
        """Shows the study as it stands."""
        running = {trial.trial: trial for trial in status.running_trials}
        for number in sorted(set(self._running) - set(running)):
            self._print_finished(number, status)
        for trial in running.values():
            self._follow(trial)
        self._running = running
        self._rate.count(_done(status))
        if self._live is not None:
            self._live.update(self._panel(status))

    def _follow(self, trial: RunningTrial) -> None:
        known = self._running.get(trial.trial)
        value = trial.metrics.get(self._objective.metric)
        best = self._best.get(trial.trial)
        if value is not None and (best is None or self._objective.better(value, than=best)):
            self._best[trial.trial] = value
        if self._live is None and value is not None and (known is None or known.epoch != trial.epoch):
            line = f"trial {trial.trial}  epoch {trial.epoch}/{self._epochs}  {self._objective.metric} {show(value)}"
            self._console.print(Text(line))

    def _print_finished(self, number: int, status: StudyStatus) -> None:
        detail = self._read_trial(number)
        trial = detail.summary
        if trial.outcome is None:
            return
        value = "" if trial.value is None else f"  {self._objective.metric} {show(trial.value)}"
        mark = "  best so far" if status.best_trial == number else ""
        why = f"  {detail.reason}" if detail.reason else ""
        line = f"trial {number}  {trial.outcome}{value}  {trial.epochs} epochs{mark}{why}"
        self._console.print(Text(line, style="green" if mark else ""))

    def _panel(self, status: StudyStatus) -> Group:
        done = _done(status)
        head = Table.grid(padding=(0, 2, 0, 0))
        head.add_row(
            Text(status.study, style="bold"),
            ProgressBar(total=max(1, status.budget), completed=done, width=30),
            f"{done}/{status.budget} trials",
            self._rate.left(status.budget - done),
            _best_text(status),
        )
        slots = Table.grid(padding=(0, 2, 0, 0))
        for trial in sorted(status.running_trials, key=lambda trial: trial.trial):
            value, best = trial.metrics.get(self._objective.metric), self._best.get(trial.trial)
            slots.add_row(
                f"  trial {trial.trial}",
                f"epoch {trial.epoch or 0}/{self._epochs}",
                f"{self._objective.metric} {show(value)}" if value is not None else "starting",
                f"best {show(best)}" if best is not None else "",
            )
        return Group(head, slots)


class _Rate:
    """Estimates the time left from the trials that ended while it watched."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first: int | None = None
        self._done = 0

    def count(self, done: int) -> None:
        if self._first is None:
            self._first = done
        self._done = done

    def left(self, trials: int) -> str:
        ended = self._done - (self._first or 0)
        if ended <= 0 or trials <= 0:
            return ""
        seconds = round((time.monotonic() - self._started) / ended * trials)
        return f"about {timedelta(seconds=seconds)} left"


def _done(status: StudyStatus) -> int:
    return status.complete + status.pruned + status.failed


def _best_text(status: StudyStatus) -> str:
    return "" if status.best_value is None else f"best {show(status.best_value)} (trial {status.best_trial})"
