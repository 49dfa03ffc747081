"""Workers as the tasks of Slurm's array jobs, one worker a task, through Slurm's own commands.

Slurm queues, places, requeues and kills; what a task does about it is in ``slurm_task.sh``.
"""

from __future__ import annotations

import math
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, ClassVar

from tuner.errors import LaunchError
from tuner.launch.engine import EngineWorker, Handle, WorkerNeeds, WorkerState, WorkersWanted
from tuner.launch.slurm.commands import SlurmRefused, run
from tuner.launch.slurm.tasks import SlurmLaunch, Task
from tuner.spec.sections import SlurmSettings

# Before the time limit, for checkpoints on a slow disk; Slurm may send the warning a minute earlier.
_WARNING_SECONDS = 60
_AFTER_GRACE_SECONDS = 30
# The environment holds the worker's orders, and a site may have another default than to hand it on.
_ALWAYS = ("--requeue", "--nodes=1", "--ntasks=1", "--open-mode=append", "--export=ALL")
# In slurm_task.sh.
_INDEX = "@INDEX@"
_SETUP = "#setup"
_PIECE_BYTES = 1 << 16


class SlurmEngine:
    """``tuner launch --on slurm``."""

    name: ClassVar[str] = "slurm"

    def __init__(self, options: SlurmSettings) -> None:
        self._options = options

    def check(self, needs: WorkerNeeds) -> None:
        """Has Slurm look at such a job without queueing it."""
        self._sbatch(["--test-only", *self._asked(needs)])

    def spans_machines(self) -> bool:
        """Unless this machine is the cluster's only node, so that its files and its localhost are every worker's."""
        nodes = set(run(["sinfo", "--noheader", "--Node", "--format=%n"]).split())
        return nodes != {socket.gethostname().partition(".")[0]}

    def start(self, wanted: WorkersWanted) -> Handle:
        """Queues an array job. Raises LaunchError with Slurm's own words if it is refused."""
        return SlurmLaunch(self._queued(wanted, range(wanted.count)), wanted.folder.absolute()).handle()

    def workers(self, handle: Handle) -> list[EngineWorker]:
        return SlurmLaunch.of(handle).workers()

    def scale(self, handle: Handle, wanted: WorkersWanted) -> Handle:
        """Queues a further array job, or cancels tasks."""
        launch = SlurmLaunch.of(handle)
        alive = launch.alive()
        if (more := wanted.count - len(alive)) > 0:
            first = len(launch.tasks)
            further = self._queued(replace(wanted, folder=launch.folder), range(first, first + more))
            return SlurmLaunch((*launch.tasks, *further), launch.folder).handle()
        # The running ones first, as sorting keeps the order of those that are alike: the last are dispensable.
        alive.sort(key=lambda each: each[1] is WorkerState.QUEUED)
        _cancel([task for task, _ in alive[wanted.count :]])
        return handle

    def stop(self, handle: Handle, *, only_queued: bool = False) -> Handle:
        """Cancels the tasks: Slurm sends SIGTERM, and SIGKILL after its ``KillWait``, 30 s unless that is set."""
        alive = SlurmLaunch.of(handle).alive()
        _cancel([task for task, state in alive if state is WorkerState.QUEUED or not only_queued])
        return handle

    def log(self, handle: Handle, worker: str) -> Iterator[bytes]:
        launch = SlurmLaunch.of(handle)
        task = next((task for task in launch.tasks if task.worker == worker), None)
        if task is None:
            raise LaunchError(
                f"no worker {worker} in this launch; it has {', '.join(each.worker for each in launch.tasks)}"
            )
        try:
            return _pieces(launch.log_of(task).open("rb"))
        except OSError as error:
            raise LaunchError(
                f"no log of {worker} can be read here ({launch.log_of(task)}: {error.strerror}); it is written "
                "once the task runs, to a disk that the nodes share"
            ) from None

    def _queued(self, wanted: WorkersWanted, indices: range) -> tuple[Task, ...]:
        wanted.folder.mkdir(parents=True, exist_ok=True)
        folder = wanted.folder.absolute()
        limit = f"%{self._options.array_limit}" if self._options.array_limit else ""
        # Slurm replaces what follows a percent sign in the place of the output.
        output = f"{str(folder).replace('%', '%%')}/%A_%a.log"
        warning = max(_WARNING_SECONDS, wanted.settings.grace_seconds + _AFTER_GRACE_SECONDS)
        described = [
            f"--job-name=tuner-{wanted.study}",
            f"--array={indices.start}-{indices.stop - 1}{limit}",
            f"--output={output}",
            f"--signal=B:USR1@{warning:.0f}",
        ]
        asked = ["--parsable", *described, *self._asked(wanted.needs)]
        printed = self._sbatch(asked, _environment(wanted, folder))
        job = printed.strip().partition(";")[0]
        return tuple(Task(wanted.worker_name(index), f"{job}_{index}") for index in indices)

    def _asked(self, needs: WorkerNeeds) -> list[str]:
        """The options of sbatch for such a worker; of two of one name the last one counts."""
        options = self._options
        asked = {
            "partition": options.partition,
            "account": options.account,
            "qos": options.qos,
            "time": options.time,
            "cpus-per-task": needs.cpus,
            "mem": needs.memory,
            "gres": _gpus(needs.gpus),
        }
        given = [f"--{name}={value}" for name, value in asked.items() if value is not None]
        return [*_ALWAYS, *given, *options.extra]

    def _sbatch(self, options: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        script = files("tuner.launch.slurm").joinpath("task.sh").read_text(encoding="utf-8")
        script = script.replace(_SETUP, "\n".join(self._options.setup))
        try:
            return run(["sbatch", *options], stdin=script, extra=environment)
        except SlurmRefused as refused:
            raise LaunchError(f"Slurm refuses such a job: {refused.said}{_advice(refused.said)}") from None


def _pieces(log: BinaryIO) -> Iterator[bytes]:
    with log:
        yield from iter(lambda: log.read(_PIECE_BYTES), b"")


def _environment(wanted: WorkersWanted, folder: Path) -> dict[str, str]:
    """Neither the job's record nor its command line shows the environment; the URL may hold a password."""
    return {
        # The task puts its index there.
        **wanted.environment(0, name=f"w{wanted.number}-{_INDEX}"),
        "TUNER_LAUNCH_FOLDER": str(folder),
        "TUNER_PYTHON": sys.executable,
    }


def _gpus(gpus: float | None) -> str | None:
    if not gpus:
        return None
    if not gpus.is_integer():
        raise LaunchError(
            f"resources.gpus_per_worker: {gpus:g}; Slurm gives whole GPUs. Ask for {math.ceil(gpus)} and let a "
            "worker's trials share them with resources.trials_per_gpu"
        )
    return f"gpu:{int(gpus)}"


def _advice(said: str) -> str:
    if "partition" in said.lower():
        return " (`sinfo` lists the partitions; launch.slurm.partition chooses one)"
    if "node configuration" in said.lower():
        return " (no node has the cpus, gpus or memory that one worker requests; `sinfo -o '%N %c %m %G'` lists them)"
    if "account" in said.lower():
        return " (launch.slurm.account and launch.slurm.qos; `sacctmgr show assoc user=$USER` lists yours)"
    return ""


def _cancel(tasks: Sequence[Task]) -> None:
    """Those that end meanwhile are no error."""
    if tasks:
        run(["scancel", "--quiet", *(each.task for each in tasks)])
