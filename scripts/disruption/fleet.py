"""The workers of a disrupted study: as many as there shall be, whatever becomes of each."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from disruption.study import Place
from tuner.errors import LaunchError
from tuner.launch.local.worker import LocalWorker

_GONE_SECONDS = 60.0


@dataclass
class Member:
    """One worker process and what became of it.

    Attributes:
        end: what it was made to do; empty while it works, or if it ended by itself.
        error: its last words if it ended badly by itself.
    """

    name: str
    worker: LocalWorker
    started: float = field(default_factory=time.time)
    ended: float | None = None
    end: str = ""
    error: str | None = None

    @property
    def log(self) -> str:
        return self.worker.log.read_text(errors="replace")

    def trial_processes(self) -> list[psutil.Process]:
        """What its forkserver has forked."""
        children = family(self.worker.pid)[1:]
        forkservers = {child.pid for child in children if child.ppid() == self.worker.pid}
        return [child for child in children if child.ppid() in forkservers]


class Fleet:
    """Keeps ``place.scale.workers`` workers at work; those that end are followed by new ones.

    Attributes:
        members: every worker there ever was.
        orphans: processes that outlived their worker, in words.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.members: list[Member] = []
        self.orphans: list[str] = []

    def __enter__(self) -> Fleet:
        for _ in range(self._place.scale.workers):
            self._start()
        return self

    def __exit__(self, *error: object) -> None:
        for member in self.working():
            relatives = family(member.worker.pid)
            member.worker.kill()
            for process in relatives:
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def _start(self) -> None:
        name = f"worker-{len(self.members):02d}"
        worker = LocalWorker(self._place.orders(), self._place.url, self._place.logs / f"{name}.log")
        worker.begin()
        self.members.append(Member(name, worker))

    def working(self) -> list[Member]:
        return [member for member in self.members if member.ended is None]

    def by_pid(self, pid: int) -> Member | None:
        return next((member for member in self.working() if member.worker.pid == pid), None)

    def tend(self, running: bool) -> None:
        """Notes which workers have ended; while the study runs, others take their places."""
        for member in self.working():
            if member.worker.wait(0):
                self._note_end(member)
        while running and len(self.working()) < self._place.scale.workers:
            self._start()

    def _note_end(self, member: Member) -> None:
        member.ended = time.time()
        try:
            member.worker.raise_if_failed()
        except LaunchError as error:
            if member.end != "killed":
                member.error = str(error)

    def kill(self, member: Member) -> None:
        """SIGKILL, and waits for what it leaves behind to go: it must, without anybody's help."""
        left = family(member.worker.pid)[1:]
        member.end = "killed"
        member.worker.kill()
        _, alive = psutil.wait_procs(left, timeout=_GONE_SECONDS)
        self.orphans += [f"{member.name}: {process}" for process in alive]
        self._note_end(member)

    def leave(self, member: Member) -> None:
        """SIGTERM, and waits for its end."""
        left = family(member.worker.pid)[1:]
        member.end = "left"
        member.worker.stop()
        if not member.worker.wait(_GONE_SECONDS):
            member.end = "killed"
            member.worker.kill()
            member.error = f"it did not leave within {_GONE_SECONDS:g} s of a SIGTERM"
        _, alive = psutil.wait_procs(left, timeout=_GONE_SECONDS)
        self.orphans += [f"{member.name}: {process}" for process in alive]
        self._note_end(member)


def family(pid: int) -> list[psutil.Process]:
    """A process, its children, theirs and so on; nothing if it has gone."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def freeze(processes: list[psutil.Process]) -> None:
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)


def wake(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
