"""Live progress of a study: a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from storage.errors import DatabaseUnavailable
from storage.leaderboard import TrialDetail
from storage.progress import RunningTrial, StudyStatus
from storage.summaries import TrialSummary
from tuner.api import Event
from tuner.presentation.tables import printable, show
from tuner.presentation.views import status_line
from tuner.spec.objective import Objective

ReadTrial = Callable[[int], TrialDetail]
ReadNewest = Callable[[int], list[TrialSummary]]
_DECODING_LINE_SECONDS = 5.0
_NARROWEST_BAR, _WIDEST_BAR = 8, 40


class Progress:
    """Shows events and statuses on standard error, so that standard output stays clean.

    On a terminal it redraws one panel below the trials that have ended; elsewhere it prints a line when something has
    happened.

    Args:
        objectives: of the study, the leading one first.
        read_trial: reads the trial of a number.
        read_newest: reads that many trials, the last number first.
        joins: whether the study was there before, so that it is first said how it stands.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        epochs: int,
        read_trial: ReadTrial,
        read_newest: ReadNewest,
        *,
        joins: bool = False,
    ) -> None:
        self._objective = objectives[0]
        self._others = [each.metric for each in objectives[1:]]
        self._epochs = epochs
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=8) if sys.stderr.isatty() else None
        self._to_begin_with = joins and self._live is None
        self._is_away = False
        self._ended = _EndedTrials(read_trial, read_newest)
        self._running: dict[int, RunningTrial] = {}
        self._best: dict[int, float] = {}
        self._champion: float | None = None
        self._rate = _Rate()
        self._decoding_said = time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.update(Text(""))
            self._live.stop()

    def event(self, event: Event) -> None:
        """Prints what happens besides trials."""
        if event.total is None:
            self._say(Text(event.message))
            return
        now, done = time.monotonic(), event.done or 0
        line = Text(f"Preparing {done:,} of {event.total:,} examples")
        if self._live is not None:
            self._live.update(line if done < event.total else Text(""))
        elif now - self._decoding_said > _DECODING_LINE_SECONDS:
            self._decoding_said = now
            self._say(line)

    def away(self, why: str) -> None:
        """Says that the database is not there, until the next status."""
        self._is_away = True
        line = Text(f"The database is unavailable; waiting for it: {printable(why)}")
        if self._live is None:
            self._say(line)
        else:
            self._live.update(line)

    def status(self, status: StudyStatus) -> None:
        """Shows the study as it stands. What cannot be read while the database goes away is shown the next time."""
        if self._is_away and self._live is None:
            self._say(Text("The database is back"))
        self._is_away = False
        if self._to_begin_with:
            self._to_begin_with = False
            self._say(Text(status_line(status)))
        with suppress(DatabaseUnavailable):
            self._show(status)

    def _show(self, status: StudyStatus) -> None:
        running = {trial.trial: trial for trial in status.running_trials}
        for detail in self._ended.since_last(status, set(self._running) - set(running)):
            self._print_ended(detail)
        if self._champion is None:
            self._champion = status.best_value
        for trial in running.values():
            self._follow(trial)
        self._running = running
        self._rate.count(_done(status) + sum((trial.epoch or 0) / self._epochs for trial in running.values()))
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
            self._say(Text(line))

    def _print_ended(self, detail: TrialDetail) -> None:
        trial = detail.summary
        if trial.outcome is None:
            return
        value = "" if trial.value is None else f"  {self._objective.metric} {show(trial.value)}"
        value += "".join(f"  {name} {show(trial.measures[name])}" for name in self._others if name in trial.measures)
        epochs = f"  {trial.epochs} epoch{'' if trial.epochs == 1 else 's'}"
        which = f" {self._objective.metric}" if self._others else ""
        mark = f"  best{which} so far" if self._is_best(trial) else ""
        why = f"  {printable(detail.reason)}" if detail.reason else ""
        why += "  breaks a constraint" if trial.violation else ""
        line = f"trial {trial.trial}  {trial.outcome}{value}{epochs}{mark}{why}"
        self._say(Text(line, style="green" if mark else ""))

    def _is_best(self, trial: TrialSummary) -> bool:
        if trial.value is None or trial.state != "complete" or trial.violation:
            return False
        if self._champion is not None and not self._objective.better(trial.value, than=self._champion):
            return False
        self._champion = trial.value
        return True

    def _say(self, line: Text) -> None:
        # A pipe has no width; a line that rich wraps itself keeps its account of the panel's place right.
        self._console.print(line, soft_wrap=self._live is None)

    def _panel(self, status: StudyStatus) -> Group:
        done = _done(status)
        counts = f"{done}/{status.budget} trials"
        left = self._rate.left(status.budget)
        best = _best_text(status)
        words = len(status.study) + len(counts) + len(left) + len(best) + 8
        head = Table.grid(padding=(0, 2, 0, 0))
        head.add_row(
            Text(status.study, style="bold"),
            ProgressBar(
                total=max(1, status.budget),
                completed=done,
                width=max(_NARROWEST_BAR, min(_WIDEST_BAR, self._console.width - words)),
            ),
            *(Text(text, no_wrap=True) for text in (counts, left, best) if text),
        )
        return Group(head, self._slots(status))

    def _slots(self, status: StudyStatus) -> Table:
        slots = Table.grid(padding=(0, 2, 0, 0))
        for trial in status.running_trials:
            value, best = trial.metrics.get(self._objective.metric), self._best.get(trial.trial)
            slots.add_row(
                f"  trial {trial.trial}",
                f"epoch {trial.epoch or 0}/{self._epochs}",
                f"{self._objective.metric} {show(value)}" if value is not None else "starting",
                f"best {show(best)}" if best is not None else "",
            )
        return slots


class _EndedTrials:
    """Finds the trials that have ended since the last look, those too that began after it."""

    def __init__(self, read_trial: ReadTrial, read_newest: ReadNewest) -> None:
        self._read_trial = read_trial
        self._read_newest = read_newest
        self._done: int | None = None
        self._seen = -1
        self._told: set[int] = set()

    def since_last(self, status: StudyStatus, vanished: set[int]) -> list[TrialDetail]:
        """In the order of their numbers. ``vanished`` ran at the last look and do not now.

        Raises:
            DatabaseUnavailable: they cannot be read now; the next call gives them.
        """
        done = _done(status)
        if self._done is None:
            self._seen = max((trial.trial for trial in self._read_newest(1)), default=-1)
            self._done = done
        if self._done == done:
            return []
        # Every trial that began since, and more: those that run and those that wait to be gone on with.
        newest = self._read_newest(done - self._done + status.running + len(vanished))
        ended = {trial.trial for trial in newest if trial.outcome is not None and trial.trial > self._seen}
        ended |= vanished - {trial.trial for trial in newest if trial.outcome is None}
        # One that ended after the status was read still runs in it, and vanishes from the next.
        details = [self._read_trial(number) for number in sorted(ended - self._told)]
        self._done = done
        self._seen = max(self._seen, *ended) if ended else self._seen
        self._told |= ended
        return details


class _Rate:
    """Estimates the time left from the share of the trials that was trained while it watched."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first: float | None = None
        self._trained = 0.0

    def count(self, trained: float) -> None:
        """``trained`` trials, the running ones in part."""
        if self._first is None:
            self._first, self._started = trained, time.monotonic()
        self._trained = trained

    def left(self, budget: int) -> str:
        done, missing = self._trained - (self._first or 0.0), budget - self._trained
        if done <= 0 or missing <= 0:
            return ""
        seconds = round((time.monotonic() - self._started) / done * missing)
        return f"about {timedelta(seconds=seconds)} left"


def _done(status: StudyStatus) -> int:
    return status.complete + status.pruned + status.failed


def _best_text(status: StudyStatus) -> str:
    return "" if status.best_value is None else f"best {show(status.best_value)} (trial {status.best_trial})"
