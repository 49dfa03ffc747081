"""Shows the progress of predictions on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

_LOOK_SECONDS = 0.1


class PredictionProgress:
    """A bar on standard error below what is said there; nothing if that is no terminal.

    Args:
        files: to read; of a single one nobody knows how far it is.
        shown: False where the predictions themselves show it.
    """

    def __init__(self, files: int, *, shown: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = _bar(self._console) if shown and sys.stderr.isatty() else None
        self._task = (
            self._bar.add_task("predicting", total=files if files > 1 else None, said="") if self._bar else None
        )
        self._started = self._looked = time.monotonic()
        self.examples = self.errors = 0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, line: str) -> None:
        self._console.print(Text(line))

    def count(self, *, error: bool) -> None:
        """One more example."""
        self.examples += 1
        self.errors += error
        if self._bar and self._task is not None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._bar.update(self._task, said=f"{_examples(self.examples)}{self._rate()}")

    def files_done(self, done: int, files: int) -> None:
        if self._bar and self._task is not None and files > 1:
            self._bar.update(self._task, completed=done)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Takes the bar away while something is written to the same terminal."""
        if self._bar and sys.stdout.isatty():
            self._bar.stop()
            yield
            self._bar.start()
        else:
            yield

    def summary(self) -> str:
        seconds = f"in {time.monotonic() - self._started:.1f} s{self._rate()}"
        predicted = f"{self.examples - self.errors:,} of " if self.errors else ""
        return f"predicted {predicted}{_examples(self.examples)} {seconds}"

    def _rate(self) -> str:
        seconds = time.monotonic() - self._started
        return f", {self.examples / seconds:,.0f} a second" if self.examples > seconds else ""


def _examples(count: int) -> str:
    return f"{count:,} example{'' if count == 1 else 's'}"


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"))
    # Standard output is not for this console.
    return Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
