"""How the tasks of array jobs stand: what Slurm still knows of them, and what each wrote down at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tuner.launch.engine import EngineWorker, Handle, WorkerState
from tuner.launch.slurm.commands import SlurmRefused, run
from tuner.worker.settings import ERROR_PREFIX

# Plain columns are the same in every version of Slurm; the keys of its JSON are not, and some are built without it.
_COLUMNS = "%i|%T|%N|%r"
_AGED_OUT = "Invalid job id"
_STATES = {
    "PENDING": WorkerState.QUEUED,
    "CONFIGURING": WorkerState.QUEUED,
    "REQUEUED": WorkerState.QUEUED,
    "REQUEUE_FED": WorkerState.QUEUED,
    "REQUEUE_HOLD": WorkerState.QUEUED,
    "RESV_DEL_HOLD": WorkerState.QUEUED,
    "SPECIAL_EXIT": WorkerState.QUEUED,
    "RUNNING": WorkerState.RUNNING,
    "COMPLETING": WorkerState.RUNNING,
    "RESIZING": WorkerState.RUNNING,
    "SIGNALING": WorkerState.RUNNING,
    "STAGE_OUT": WorkerState.RUNNING,
    "STOPPED": WorkerState.RUNNING,
    "SUSPENDED": WorkerState.RUNNING,
    "COMPLETED": WorkerState.FINISHED,
    "CANCELLED": WorkerState.STOPPED,
    "PREEMPTED": WorkerState.STOPPED,
    "REVOKED": WorkerState.STOPPED,
}
_ENDINGS = {"finished": WorkerState.FINISHED, "stopped": WorkerState.STOPPED}
# What slurmstepd ends a batch step with whose output file it cannot open.
_NO_OUTPUT = ":53"
_LOG_TAIL_BYTES = 16_384


@dataclass(frozen=True)
class Task:
    """A worker by its name and by Slurm's, which is ``JOB_INDEX``."""

    worker: str
    task: str


@dataclass(frozen=True)
class SlurmLaunch:
    """What a handle holds: every task that was ever asked for, and the folder of their logs and endings."""

    tasks: tuple[Task, ...]
    folder: Path

    @classmethod
    def of(cls, handle: Handle) -> SlurmLaunch:
        return cls(tuple(Task(each["worker"], each["task"]) for each in handle["tasks"]), Path(handle["folder"]))

    def handle(self) -> Handle:
        return {"tasks": [asdict(each) for each in self.tasks], "folder": str(self.folder)}

    def log_of(self, task: Task) -> Path:
        return self.folder / f"{task.task}.log"

    def workers(self) -> list[EngineWorker]:
        """Every task's worker. Raises LaunchError if Slurm cannot be asked."""
        known = _known(self.tasks)
        return [self._worker(task, known.get(task.task)) for task in self.tasks]

    def alive(self) -> list[tuple[Task, WorkerState]]:
        """The tasks that are queued or running."""
        stand = zip(self.tasks, self.workers(), strict=True)
        return [(task, worker.state) for task, worker in stand if not worker.state.ended]

    def _worker(self, task: Task, row: _Row | None) -> EngineWorker:
        state = _STATES.get(row.state, WorkerState.FAILED) if row else None
        node = row.node if row else None
        if row and state is WorkerState.QUEUED:
            return EngineWorker(task.worker, state, node, None if row.reason == "None" else row.reason)
        if state is None or state is WorkerState.FINISHED:
            state = self._ending(task)
        return EngineWorker(task.worker, state, node, self._why(task, row) if state is WorkerState.FAILED else None)

    def _ending(self, task: Task) -> WorkerState:
        """What the task wrote down. One that never began has written nothing: it was cancelled in the queue."""
        try:
            words = (self.folder / f"{task.task}.ended").read_text(encoding="utf-8").strip()
        except OSError:
            return WorkerState.STOPPED
        return _ENDINGS.get(words, WorkerState.FAILED)

    def _why(self, task: Task, row: _Row | None) -> str:
        if row and _NO_OUTPUT in row.reason:
            return f"its node could not write to {self.folder}: is that on a disk that all nodes share?"
        if row and row.state not in ("FAILED", "COMPLETED"):
            return f"Slurm ended it: {row.state.lower().replace('_', ' ')}"
        return _error_in(self.log_of(task)) or f"its log is {self.log_of(task)}"


@dataclass(frozen=True)
class _Row:
    state: str
    node: str | None
    reason: str


def _known(tasks: Sequence[Task]) -> dict[str, _Row]:
    """The tasks that Slurm still knows, by name; it forgets those that ended (``MinJobAge``)."""
    jobs = ",".join(dict.fromkeys(task.task.partition("_")[0] for task in tasks))
    command = ["squeue", "--noheader", "--array", "--states=all", f"--format={_COLUMNS}", f"--jobs={jobs}"]
    try:
        printed = run(command)
    except SlurmRefused as refused:
        if _AGED_OUT in refused.said:
            return {}
        raise
    split = (line.split("|", 3) for line in printed.splitlines() if line.count("|") >= 3)
    return {name: _Row(state, node or None, reason) for name, state, node, reason in split}


def _error_in(log: Path) -> str | None:
    """The worker's last error, else the last line that was printed."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    said = [line.removeprefix(ERROR_PREFIX) for line in lines if line.startswith(ERROR_PREFIX)]
    return next(iter(reversed(said or [line for line in lines if line.strip()])), None)
