"""Runs commands in turns of two seconds, so that whatever else this machine does slows all of them alike.

While one command runs, the others and everything that they have started are suspended. What each then took is the sum
of its own turns.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

TURN_SECONDS = 2.0


class Contestant:
    """A command under way, suspended until its first turn.

    Args:
        command: the program and its arguments.
        folder: its working directory; what it prints goes to ``output.log`` there.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._log = folder / "output.log"
        self._turns: list[tuple[float, float]] = []
        self._said: dict[str, float] = {}
        self._process = subprocess.Popen(
            list(command), cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._suspend()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    @property
    def seconds(self) -> float:
        """What it took, without the others' turns."""
        return sum(end - start for start, end in self._turns)

    def said(self, word: str) -> float:
        """How many of its own seconds had passed when it first printed a line that begins with the word."""
        return self.passed(self._said[word])

    def passed(self, at: float) -> float:
        """How many of its own seconds had passed at a time, in Unix seconds."""
        return sum(max(0.0, min(end, at) - start) for start, end in self._turns)

    def take_turn(self, seconds: float) -> None:
        """Lets it run for so long, or to its end.

        Raises:
            subprocess.CalledProcessError: it failed; its output is printed.
        """
        family = self._family()
        started = time.time()
        _signal(reversed(family), psutil.Process.resume)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._turns.append((started, time.time() if self.ended else self._suspend()))
        if self.ended:
            self._finish()

    def kill(self) -> None:
        """Ends it and everything that it has started."""
        _signal(self._family(), psutil.Process.kill)
        self._process.wait()

    def _finish(self) -> None:
        self._reader.join()
        if self._process.returncode:
            sys.stderr.write(self._log.read_text())
            raise subprocess.CalledProcessError(self._process.returncode, self._process.args)

    def _read(self) -> None:
        with self._log.open("w") as log:
            for line in self._process.stdout or ():
                self._said.setdefault(line.split(" ", 1)[0].strip(), time.time())
                log.write(line)
                log.flush()

    def _family(self) -> list[psutil.Process]:
        """The process, its children, theirs and so on, parents first."""
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def _suspend(self) -> float:
        """Suspends the whole family; gives the time, in Unix seconds, from which it no longer ran."""
        at, suspended = 0.0, set[int]()
        # A process may start another one until it is suspended itself.
        while new := [process for process in self._family() if process.pid not in suspended]:
            _signal(new, psutil.Process.suspend)
            at = at or time.time()
            suspended.update(process.pid for process in new)
        return at or time.time()


def _signal(processes: Iterable[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            send(process)


def run_in_turns(contestants: Sequence[Contestant], seconds: float = TURN_SECONDS) -> None:
    """Runs all of them to their end, one at a time.

    Args:
        seconds: of a turn. What sleeps until a given time sleeps on while others have their turns, so turns have to be
            many times as long as sleeps that count.

    Raises:
        subprocess.CalledProcessError: one failed; the others are ended.
    """
    try:
        while any(not each.ended for each in contestants):
            for each in contestants:
                if not each.ended:
                    each.take_turn(seconds)
    except BaseException:
        for each in contestants:
            if not each.ended:
                each.kill()
        raise
