"""The actor that runs a worker on a node of a Ray cluster: the same process as everywhere, and its end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from storage.errors import ArtifactsUnavailable
from tuner.launch.engine import EngineWorker, WorkerState
from tuner.launch.ray.records import LaunchRecords, last_of
from tuner.processes.child_environment import tensorflow_environment
from tuner.processes.shipped_code import SHIPPED_FROM_VARIABLE, SHIPPED_TO_VARIABLE
from tuner.worker.settings import ERROR_PREFIX, LEFT_LINE

# What a node's death costs of a log.
_KEEP_SECONDS = 20.0
_STORE_AWAY_SECONDS = 600.0

_patiently = retry(
    retry=retry_if_exception_type(ArtifactsUnavailable),
    stop=stop_after_delay(_STORE_AWAY_SECONDS),
    wait=wait_fixed(5),
    reraise=True,
)


class RayWorker:
    """Runs ``python -m tuner.worker`` until it ends, notes how, and gives its place back.

    Ray makes it again on another node if its own dies. The process follows an open pipe, so that it leaves in order if
    the actor alone is killed.

    Args:
        environment: the worker's orders. It holds the database's URL: arguments of actors are shown nowhere.
        shipped_from: the folder that the working directory is a copy of; None if nothing was shipped.
    """

    def __init__(
        self, name: str, environment: Mapping[str, str], records: LaunchRecords, shipped_from: str | None
    ) -> None:
        self._name = name
        self._records = records
        self._actor = ray.get_runtime_context().current_actor
        self._told = records.was_told(name)
        self._start = max(records.starts(name), default=0) + 1
        self._folder = Path(tempfile.mkdtemp(prefix="tuner-worker-"))
        self._log = self._folder / f"{name}.log"
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        ended = records.ending(name)
        if ended is None and not self._told:
            self._process = self._started({**environment, **_devices(), **_shipped(shipped_from)})
        threading.Thread(target=self._see_to_the_end, args=(self._process, ended), daemon=True).start()

    def _started(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        gpus = environment["CUDA_VISIBLE_DEVICES"] or "none"
        with self._log.open("ab") as output:
            line = f"--- start {self._start} of {self._name} on {socket.gethostname()}, GPUs of Ray: {gpus}\n"
            output.write(line.encode())
            output.flush()
            process = subprocess.Popen(
                [sys.executable, "-m", "tuner.worker"],
                env=tensorflow_environment() | dict(environment),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(b"\n")
            process.stdin.flush()
        return process

    def leave(self) -> None:
        """Tells the worker to write checkpoints, to release its leases and to go."""
        self._told = True
        with suppress(ArtifactsUnavailable, OSError):
            self._records.note_told(self._name)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def log(self) -> tuple[int, bytes]:
        """Which start of the worker this is, and what it has printed, the last part if that is much."""
        return self._start, last_of(self._log)

    def _see_to_the_end(self, process: subprocess.Popen[bytes] | None, ended: EngineWorker | None) -> None:
        try:
            if process is not None:
                self._wait(process)
                self._keep_log()
            if ended is None:
                _patiently(self._records.note_ending)(self._how(process))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            # Its end is no failure that Ray should make good.
            ray.kill(self._actor, no_restart=True)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        kept = -1
        while True:
            # At once too: the next start counts those before it.
            if (size := self._log.stat().st_size) != kept:
                with suppress(ArtifactsUnavailable, OSError):
                    self._records.keep_log(self._name, self._start, last_of(self._log))
                    kept = size
            with suppress(subprocess.TimeoutExpired):
                process.wait(_KEEP_SECONDS)
                return

    def _keep_log(self) -> None:
        _patiently(self._records.keep_log)(self._name, self._start, last_of(self._log))

    def _how(self, process: subprocess.Popen[bytes] | None) -> EngineWorker:
        node = socket.gethostname()
        if process is None:
            return EngineWorker(self._name, WorkerState.STOPPED, node)
        words = last_of(self._log).decode(errors="replace").splitlines()
        # SIGTERM came before it had begun to listen.
        told_early = self._told and process.returncode == -signal.SIGTERM
        if LEFT_LINE in words or told_early:
            return EngineWorker(self._name, WorkerState.STOPPED if self._told else WorkerState.FINISHED, node)
        errors = [line.removeprefix(ERROR_PREFIX) for line in words if line.startswith(ERROR_PREFIX)]
        code = process.returncode
        without = f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        return EngineWorker(self._name, WorkerState.FAILED, node, errors[-1] if errors else without)


def _devices() -> dict[str, str]:
    """The GPUs that Ray gave this actor; none is none, whatever the node has."""
    given = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, given))}


def _shipped(shipped_from: str | None) -> dict[str, Any]:
    if shipped_from is None:
        return {}
    return {SHIPPED_FROM_VARIABLE: shipped_from, SHIPPED_TO_VARIABLE: os.getcwd()}
