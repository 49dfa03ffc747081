"""The contract of what runs workers: processes on this machine, a Ray cluster, a Slurm cluster.

Placement, queueing and restarts are the engine's; the study's database is all that workers share. An engine keeps
nothing in memory that a later process would need: the handle that ``start`` and ``scale`` give is stored, and any
process that reaches the engine can go on with it. Nothing here imports an engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tuner.worker.settings import SETTINGS_VARIABLE, STORAGE_VARIABLE, WorkerSettings

# JSON: what an engine must know of a launch to find its workers again. Never the storage URL or a password.
Handle = dict[str, Any]
_SHIFTS = {"K": 10, "M": 20, "G": 30, "T": 40}


@dataclass(frozen=True)
class WorkerNeeds:
    """What each worker is given by the engine.

    Attributes:
        cpus: cores; None for the engine's default.
        gpus: GPUs, or a part of one where the engine can divide them; None for the engine's default.
        memory: such as ``16G``; None for the engine's default.
        trials_per_gpu: how many of its trials share a GPU; of a part of one, all workers' there together.
    """

    cpus: int | None = None
    gpus: float | None = None
    memory: str | None = None
    trials_per_gpu: int = 1

    @property
    def bytes(self) -> int | None:
        """The memory in bytes."""
        return None if self.memory is None else int(self.memory[:-1]) << _SHIFTS[self.memory[-1]]


@dataclass(frozen=True)
class WorkersWanted:
    """An order for workers, all of it data.

    Attributes:
        number: the launch's, counted from 1 within the study.
        storage: the database's URL, which may hold a password.
        settings: what every worker is told.
        count: how many workers there shall be.
        folder: for the launch's files, such as logs; it may not exist yet.
        artifacts: where the study's artifacts are, as its record names it.
    """

    study: str
    number: int
    storage: str = field(repr=False)
    settings: WorkerSettings
    count: int
    needs: WorkerNeeds
    folder: Path
    artifacts: str

    def worker_name(self, index: int) -> str:
        """The name of the worker of that index: unique within the study, and kept when an engine restarts it."""
        return f"w{self.number}-{index}"

    def environment(self, index: int, **changed: Any) -> dict[str, str]:
        """The variables that ``python -m tuner.worker`` takes its orders from, the database's URL among them.

        Settings that nobody set are left out, so that each node has its own default place for decoded data.

        Args:
            changed: fields of ``WorkerSettings`` that differ for this worker.
        """
        settings = self.settings.model_copy(update={"name": self.worker_name(index), **changed})
        return {
            SETTINGS_VARIABLE: settings.model_dump_json(exclude_unset=True),
            STORAGE_VARIABLE: self.storage,
        }


class WorkerState(StrEnum):
    """The state of a worker, as its engine reports it."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        return self not in (WorkerState.QUEUED, WorkerState.RUNNING)


@dataclass(frozen=True)
class EngineWorker:
    """One worker of a launch.

    Attributes:
        name: the worker's name in its launch, for example w1-0.
        state: state of the worker: ``queued``, ``running``, ``failed``, ``finished`` if it left by itself in an orderly
            way, or ``stopped`` if it was told to leave.
        node: the node that the worker runs or ran on; None while it is queued.
        said: why the worker failed, on one line; None if it did not fail.
    """

    name: str
    state: WorkerState
    node: str | None = None
    said: str | None = None


class Engine(Protocol):
    """Runs workers somewhere.

    Every method raises LaunchError, in one line, if the engine cannot be reached; workers that are gone are no error.
    """

    name: ClassVar[str]

    def check(self, needs: WorkerNeeds) -> None:
        """Looks, before a study exists, whether the engine is there and can give a worker what it needs.

        Raises:
            LaunchError: there is no such cluster or partition, no node has so many GPUs, cores or so much memory, or
                GPUs cannot be divided like that.
        """

    def spans_machines(self) -> bool:
        """Whether a worker may run on another machine than this one."""

    def start(self, wanted: WorkersWanted) -> Handle:
        """Starts the workers, or queues them, and does not wait for them."""

    def workers(self, handle: Handle) -> list[EngineWorker]:
        """Every worker of the launch in the order of their indices, those that have ended too."""

    def scale(self, handle: Handle, wanted: WorkersWanted) -> Handle:
        """Brings the workers that are queued or running to ``wanted.count``.

        Those too many leave in order: queued ones first, then the youngest. New ones have indices that no worker had.
        """

    def stop(self, handle: Handle, *, only_queued: bool = False) -> Handle:
        """Tells every worker to leave in order, as SIGTERM does: checkpoints are written and leases released.

        Args:
            only_queued: leave those alone that run.
        """

    def log(self, handle: Handle, worker: str) -> Iterator[bytes]:
        """What a worker of the launch has printed, its restarts too, in pieces.

        Raises:
            LaunchError: it has no log, or none that can be read from here.
        """
