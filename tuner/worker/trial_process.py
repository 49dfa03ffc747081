"""Starts, watches and ends isolated processes, from a forkserver that has imported TensorFlow."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from storage.held_folders import scratch_folder
from tuner.processes.child_environment import tensorflow_environment
from tuner.trial import out_of_memory
from tuner.trial.messages import Finished, FromTrial, ToTrial, receive_from_trial, send
from tuner.trial.outcome import Outcome
from tuner.trial.process import FORKSERVER_LOG, LEAVE_SIGNALS, run_isolated, trial_main
from tuner.trial.pulse_file import pulse_in

_context = get_context("forkserver")
_KILL_SECONDS = 5.0


def start_forkserver(log: Path) -> None:
    """Starts the forkserver now, so that its seconds of imports pass while the worker does other things."""
    os.environ[FORKSERVER_LOG] = str(log)
    os.environ.update(tensorflow_environment())
    _context.set_forkserver_preload(["tuner.trial.preload"])
    from multiprocessing import forkserver, resource_tracker

    # It would be started by the forkserver's start, and unblocks signals.
    resource_tracker.ensure_running()
    # The forkserver ignores them once it runs; until then they wait. Who ends a job may tell all of its processes.
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, LEAVE_SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


class IsolatedProcess:
    """A forked process and the worker's end of its pipe."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._scratch = scratch_folder()
        ours, theirs = _context.Pipe()
        self.connection: Connection = ours
        handed_over = (target, theirs, self._scratch.name, *arguments)
        self._process = _context.Process(target=run_isolated, args=handed_over, daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def end(self, grace_seconds: float) -> int:
        """Waits for the process to end by itself, then kills it. Gives its exit code, negative for a signal."""
        self._process.join(grace_seconds)
        if self._process.exitcode is None:
            self._process.kill()
            # One in the middle of a call that the kernel does not end, at a GPU or a file system that is gone, stays.
            self._process.join(_KILL_SECONDS)
        self.connection.close()
        self._scratch.cleanup()
        code = self._process.exitcode
        return -signal.SIGKILL if code is None else code

    def kill(self) -> None:
        self._process.kill()


class TrialProcess(IsolatedProcess):
    """One attempt at one trial."""

    def __init__(self, assignment_json: str) -> None:
        self._kills = out_of_memory.KernelKills()
        super().__init__(trial_main, assignment_json)
        self.pulse = pulse_in(self._scratch.name)

    def receive(self) -> FromTrial:
        """Raises EOFError when the process has gone."""
        try:
            return receive_from_trial(self.connection)
        except OSError as error:
            raise EOFError from error

    def send(self, message: ToTrial) -> None:
        """Sends a message; a process that has gone is noticed when its end of the pipe is read."""
        try:
            send(self.connection, message)
        except OSError:
            return

    def obituary(self, exit_code: int, log: Path) -> Finished:
        """The end of a process that did not report one."""
        name = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
        told = f"killed by {name}" if exit_code < 0 else f"ended with {name} and no result"
        killed = exit_code == -signal.SIGKILL
        by_kernel = killed and self._kills.take_one()
        if by_kernel or out_of_memory.log_speaks_of_memory(log, killed=killed):
            outcome, cause = Outcome.OUT_OF_MEMORY, out_of_memory.CAUSE
            return Finished(outcome=outcome, cause=cause, reason=out_of_memory.reason(told))
        return Finished(outcome=Outcome.INTERRUPTED, cause=f"the trial process was {told}", reason=told)
