"""The trial process: one attempt at one trial, isolated, from a forked start to a reported end."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tuner.processes.parents import end_with_parent
from tuner.trial.assignment import Assignment
from tuner.trial.messages import Finished
from tuner.trial.pulse_file import pulse_in

# Names the file that receives what the forkserver prints; read by tuner.trial.preload.
FORKSERVER_LOG = "TUNER_FORKSERVER_LOG"
# Which tell a worker to leave; it then tells its processes. SIGUSR1 is Slurm's usual warning.
LEAVE_SIGNALS = frozenset((signal.SIGTERM, signal.SIGUSR1))


def trial_main(connection: Connection, scratch: str, assignment_json: str) -> None:
    """Runs an attempt and sends ``Finished`` whatever happens short of the process's death."""
    assignment = Assignment.model_validate_json(assignment_json)
    redirect_output(assignment.log)
    print(f"--- trial {assignment.number}, attempt {assignment.attempt}", flush=True)
    # Imported here so that the forkserver's parent, the worker, can import this module without TensorFlow.
    from tuner.trial.channel import Channel
    from tuner.trial.failure import describe

    channel = Channel(connection, pulse_in(scratch))

    signal.signal(signal.SIGTERM, channel.stop_requested.set_by_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        finished = _attempt(assignment, channel)
    except BaseException as error:
        finished = describe(error)
        if finished.traceback:
            print(finished.traceback, file=sys.stderr)
    channel.send(finished)
    sys.stdout.flush()
    sys.stderr.flush()
    # Tearing TensorFlow down can hang; everything that matters has been written and sent.
    os._exit(0)


def _attempt(assignment: Assignment, channel: object) -> Finished:
    from tuner.trial.runtime import configure
    from tuner.trial.training import run_trial

    configure(assignment)
    return run_trial(assignment, channel)  # type: ignore[arg-type]


def run_isolated(target: Callable[..., None], connection: Connection, scratch: str, *arguments: Any) -> None:
    """What a forked process runs: ``target``, with temporary files of its own, for as long as the forkserver lives."""
    end_with_parent()
    use_scratch(scratch)
    target(connection, scratch, *arguments)


def use_scratch(folder: str) -> None:
    """Sends this process's temporary files, and its children's, to a folder that its parent removes."""
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = folder


class _Lossy(io.FileIO):
    """A file that takes everything: what a full disk has no room for is lost, which is no reason to end a training."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def redirect_output(log: Path) -> None:
    """Sends file descriptors 1 and 2, and so TensorFlow's C++ messages too, to the end of ``log``.

    Where the log cannot be written, what is printed is lost.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        target = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    sys.stdout, sys.stderr = _text_to(1), _text_to(2)


def _text_to(descriptor: int) -> io.TextIOWrapper:
    buffer = io.BufferedWriter(_Lossy(descriptor, "w", closefd=False))
    return io.TextIOWrapper(buffer, errors="backslashreplace", line_buffering=True)
