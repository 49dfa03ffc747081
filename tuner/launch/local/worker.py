"""Workers on this machine: one subprocess each, in a session of its own so that Ctrl-C reaches only the launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from tuner.errors import LaunchError
from tuner.processes.child_environment import tensorflow_environment
from tuner.trial.preflight import Request
from tuner.worker.settings import (
    DRAIN_WORD,
    DRIFT_PREFIX,
    ERROR_PREFIX,
    METRICS_PREFIX,
    PREFLIGHT_END,
    SETTINGS_VARIABLE,
    STORAGE_VARIABLE,
    STORE_PREFIX,
    WorkerSettings,
)

_TAIL_LINES = 20
# Beyond the grace of its trials: for what it still has to write to a database and a store that are slow.
_LEAVE_SECONDS = 45.0


class LocalWorker:
    """One worker process, ended orderly when this one goes away.

    It stands by until ``begin``: its seconds of imports pass while the launcher looks at the data, and the processes
    of the preflight and of the trials are forked after the same ones.
    """

    def __init__(self, settings: WorkerSettings, storage: str, log: Path) -> None:
        self._grace_seconds = settings.grace_seconds
        self._was_told = False
        self.log = log
        self._begun = False
        self._forkserver_log = log.with_suffix(".forkserver.log")
        self._made = [folder for folder in log.parents if not folder.exists()]
        self._before = {file: file.stat().st_size if file.exists() else 0 for file in (log, self._forkserver_log)}
        log.parent.mkdir(parents=True, exist_ok=True)
        standing_by = {"follow_stdin": True, "forkserver_log": self._forkserver_log}
        read, write = os.pipe()
        settings = settings.model_copy(update=standing_by | {"preflight_messages": write})
        environment = tensorflow_environment() | {
            SETTINGS_VARIABLE: settings.model_dump_json(),
            STORAGE_VARIABLE: storage,
        }
        with log.open("ab") as output:
            # The log of an earlier worker may be there.
            self._heard = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tuner.worker"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(write,),
            )
        os.close(write)
        self._messages = os.fdopen(read, "rb")

    def preflight(self, request: Request) -> Iterator[bytes]:
        """The messages of a preflight that the worker runs while it stands by, a line each; fewer if it dies."""
        self._tell(request.model_dump_json().encode() + b"\n")
        return takewhile(PREFLIGHT_END.__ne__, self._messages)

    def begin(self) -> None:
        """Lets the worker work."""
        self._begun = True
        self._tell(b"\n")

    def drain(self) -> None:
        """Asks the worker to begin no more trials, and to leave when those that run have ended."""
        self._tell(DRAIN_WORD)

    def _tell(self, word: bytes) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(word)
                self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float | None) -> bool:
        """Whether the worker has ended within ``seconds``."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """Asks the worker to write checkpoints, release its leases and leave. One that stands still is ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            if not self._was_told:
                self._was_told = True
                late = threading.Timer(self._grace_seconds + _LEAVE_SECONDS, self._process.kill)
                late.daemon = True
                late.start()

    def kill(self) -> None:
        """Ends the worker at once; its trial processes see it go and end too. Its leases expire and are adopted.

        One that never began leaves no log: its launch was refused, and the folder may be another study's.
        """
        self._process.kill()
        self._process.wait()
        self._messages.close()
        if not self._begun:
            self._leave_no_log()

    def _leave_no_log(self) -> None:
        with suppress(OSError):
            for file, size in self._before.items():
                if size:
                    os.truncate(file, size)
                else:
                    file.unlink(missing_ok=True)
            for folder in self._made:
                folder.rmdir()

    def raise_if_failed(self) -> None:
        """Raises LaunchError with the worker's own last words if it ended badly."""
        code = self._process.poll()
        if code in (None, 0):
            return
        if self._was_told and code == -signal.SIGKILL:
            raise LaunchError(
                f"the worker did not leave within {self._grace_seconds + _LEAVE_SECONDS:g} s and was ended; other "
                "workers or the next launch adopt its trials once their leases have expired"
            )
        words = self._last_words()
        said = next(
            (line[len(ERROR_PREFIX) :] for line in reversed(words) if line.startswith(ERROR_PREFIX)),
            None,
        )
        raise LaunchError(said or f"the worker ended with exit code {code}; its log is {self.log}")

    def news(self) -> list[str]:
        """What the worker has said since the last call: what is not as its study has it, and where its counts are."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._heard)
                heard = file.read().rpartition(b"\n")[0]
        except OSError:
            # Somebody has removed it, or its disk is away: what it says is worth less than what the worker does.
            return []
        self._heard += len(heard) + (1 if heard else 0)
        return [said for line in heard.decode(errors="replace").splitlines() if (said := _said(line))]

    def _last_words(self) -> list[str]:
        with suppress(OSError), self.log.open(errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=_TAIL_LINES)]
        return []


def _said(line: str) -> str | None:
    """What a line of a worker's log says to the user, if anything."""
    warnings = tuple((prefix, f"Warning: {prefix}") for prefix in (DRIFT_PREFIX, STORE_PREFIX))
    for prefix, shown in (*warnings, (METRICS_PREFIX, "Metrics: ")):
        _, found, words = line.partition(prefix)
        if found:
            return f"{shown}{words}"
    return None
