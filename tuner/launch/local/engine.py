"""The engine ``local``: workers are detached processes of this machine that outlive whoever started them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import psutil

from tuner.errors import LaunchError
from tuner.launch.engine import EngineWorker, Handle, WorkerNeeds, WorkerState, WorkersWanted
from tuner.processes.child_environment import tensorflow_environment
from tuner.worker.node.devices import usable_cores, visible_gpus
from tuner.worker.settings import ERROR_PREFIX, LEFT_LINE

_TAIL_LINES = 20
# The kernel counts a process's start from the boot, whose time moves when the clock is set.
_CLOCK_SECONDS = 2.0


class LocalEngine:
    """Processes on this machine. A handle has each one's id, when it started, and its log."""

    name: ClassVar[str] = "local"

    def __init__(self, settings: None = None) -> None:
        # Polled, so that those that have ended while this process lives leave no zombie.
        self._children: list[subprocess.Popen[bytes]] = []

    def check(self, needs: WorkerNeeds) -> None:
        gpus, cores, memory = len(visible_gpus()), usable_cores(), psutil.virtual_memory().total
        if (needs.gpus or 0) > gpus:
            raise LaunchError(f"{needs.gpus:g} GPUs per worker are requested, but this machine has {gpus}")
        if needs.gpus is not None and needs.gpus != int(needs.gpus):
            raise LaunchError(
                "the local engine cannot divide a GPU among workers; set resources.trials_per_gpu so that trials of "
                "one worker share it"
            )
        if (needs.cpus or 0) > cores:
            raise LaunchError(f"{needs.cpus} cores per worker are requested, but this machine has {cores}")
        if (needs.bytes or 0) > memory:
            raise LaunchError(f"{needs.memory} per worker are requested, but this machine has {memory >> 30}G")

    def spans_machines(self) -> bool:
        return False

    def start(self, wanted: WorkersWanted) -> Handle:
        wanted.folder.mkdir(parents=True, exist_ok=True)
        return {"host": socket.gethostname(), "workers": self._started(wanted, range(wanted.count))}

    def _started(self, wanted: WorkersWanted, indices: range) -> list[dict[str, Any]]:
        started: list[dict[str, Any]] = []
        try:
            for index in indices:
                started.append(self._start_one(wanted, index))
        except OSError as error:
            _tell_to_leave(started)
            raise LaunchError(f"a worker cannot be started: {error.strerror}") from None
        return started

    def _start_one(self, wanted: WorkersWanted, index: int) -> dict[str, Any]:
        name = wanted.worker_name(index)
        log = wanted.folder / f"{name}.log"
        share = _share(wanted)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tuner.worker"],
                env=tensorflow_environment() | wanted.environment(index, **share),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._children.append(process)
        began = psutil.Process(process.pid).create_time()
        return {"name": name, "pid": process.pid, "began": began, "log": str(log), "told": False}

    def workers(self, handle: Handle) -> list[EngineWorker]:
        _refuse_elsewhere(handle)
        for child in self._children:
            child.poll()
        return [_seen(worker, handle["host"]) for worker in handle["workers"]]

    def scale(self, handle: Handle, wanted: WorkersWanted) -> Handle:
        _refuse_elsewhere(handle)
        workers = [dict(worker) for worker in handle["workers"]]
        working = [worker for worker in workers if not worker["told"] and _process(worker) is not None]
        _tell_to_leave(working[wanted.count :])
        missing = range(len(workers), len(workers) + max(0, wanted.count - len(working)))
        return {**handle, "workers": workers + self._started(wanted, missing)}

    def stop(self, handle: Handle, *, only_queued: bool = False) -> Handle:
        _refuse_elsewhere(handle)
        workers = [dict(worker) for worker in handle["workers"]]
        if not only_queued:
            _tell_to_leave(workers)
        return {**handle, "workers": workers}

    def log(self, handle: Handle, worker: str) -> Iterator[bytes]:
        found = next((Path(each["log"]) for each in handle["workers"] if each["name"] == worker), None)
        if found is None or not found.is_file():
            raise LaunchError(f"worker {worker} has no log on this machine; it ran on {handle['host']}")
        return _pieces(found)


def _share(wanted: WorkersWanted) -> dict[str, Any]:
    """What of this machine each of the workers takes, so that together they take it once."""
    cores = wanted.needs.cpus or max(1, usable_cores() // wanted.count)
    return {"cores": cores, "gpus": _gpus_of_each(wanted, len(visible_gpus()))}


def _gpus_of_each(wanted: WorkersWanted, gpus: int) -> int | None:
    resources = wanted.settings.resources
    if wanted.needs.gpus is not None:
        return int(wanted.needs.gpus)
    # Slots that were counted know what they need, and a worker alone takes what is free.
    if not gpus or wanted.count == 1 or resources.slots != "auto" or resources.gpus_per_trial == 0:
        return None
    if wanted.count > gpus:
        raise LaunchError(
            f"{wanted.count} workers are requested, but this machine has {gpus} GPUs: start fewer, with "
            "resources.trials_per_gpu for more trials at a time, or with resources.gpus_per_trial: 0 to train without"
        )
    return gpus // wanted.count


def _refuse_elsewhere(handle: Handle) -> None:
    if handle["host"] != socket.gethostname():
        raise LaunchError(f"the workers run on {handle['host']}; run this command there")


def _process(worker: dict[str, Any]) -> psutil.Process | None:
    """The worker's process; None if it has ended, whoever has its number now."""
    with suppress(psutil.Error):
        process = psutil.Process(worker["pid"])
        same = abs(process.create_time() - worker["began"]) < _CLOCK_SECONDS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _tell_to_leave(workers: list[dict[str, Any]]) -> None:
    for worker in workers:
        process = _process(worker)
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
                worker["told"] = True


def _seen(worker: dict[str, Any], host: str) -> EngineWorker:
    if _process(worker) is not None:
        return EngineWorker(worker["name"], WorkerState.RUNNING, host)
    words = _last_words(Path(worker["log"]))
    if LEFT_LINE in words:
        return EngineWorker(worker["name"], WorkerState.STOPPED if worker["told"] else WorkerState.FINISHED, host)
    said = next((line[len(ERROR_PREFIX) :] for line in reversed(words) if line.startswith(ERROR_PREFIX)), None)
    said = said or f"it ended without a message; {worker['log']}"
    return EngineWorker(worker["name"], WorkerState.FAILED, host, said)


def _last_words(log: Path) -> list[str]:
    with suppress(OSError), log.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=_TAIL_LINES)]
    return []


def _pieces(log: Path) -> Iterator[bytes]:
    with log.open("rb") as file:
        yield from iter(lambda: file.read(65536), b"")
