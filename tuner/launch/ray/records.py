"""What is kept of a Ray launch among the study's artifacts: how each worker ended, and what it printed.

An actor that has ended gives back what it held of its node, and a cluster may be gone the day after.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from storage.artifacts import StudyArtifacts
from storage.errors import MissingArtifact
from tuner.launch.engine import EngineWorker, WorkerState
from tuner.study.locations import default_cache_root, study_artifacts

# Of one start of a worker: what it printed last.
LOG_BYTES = 1 << 20
_TOLD = "told"


@dataclass(frozen=True)
class LaunchRecords:
    """Files of one launch. Plain data, so that it travels to the nodes.

    Attributes:
        artifacts: where the study's artifacts are, as its record names it.
        launch: tells apart what came by the same number.
    """

    artifacts: str
    study: str
    number: int
    launch: str

    @cached_property
    def _kept(self) -> StudyArtifacts:
        return study_artifacts(self.artifacts, self.study, default_cache_root())

    def _name(self, worker: str, suffix: str) -> str:
        return f"{self.launch}/{worker}.{suffix}"

    def _put(self, worker: str, suffix: str, content: bytes) -> None:
        def write(file: Path) -> None:
            file.write_bytes(content)

        self._kept.put_launch_file(self.number, self._name(worker, suffix), write)

    def _read(self, worker: str, suffix: str) -> bytes | None:
        try:
            with self._kept.launch_file(self.number, self._name(worker, suffix)) as file:
                return file.read_bytes()
        except MissingArtifact:
            return None

    def note_told(self, worker: str) -> None:
        """Notes that the worker was told to leave: an actor that Ray starts again must know."""
        self._put(worker, _TOLD, b"")

    def was_told(self, worker: str) -> bool:
        return self._read(worker, _TOLD) is not None

    def note_ending(self, ended: EngineWorker) -> None:
        self._put(ended.name, "json", json.dumps(asdict(ended)).encode())

    def ending(self, worker: str) -> EngineWorker | None:
        """How a worker ended; None for one that works, waits, or died with its node."""
        kept = self._read(worker, "json")
        if kept is None:
            return None
        told = json.loads(kept)
        return EngineWorker(**{**told, "state": WorkerState(told["state"])})

    def endings(self, workers: Iterable[str]) -> dict[str, EngineWorker]:
        """Those of the workers that have ended."""
        found = {worker: self.ending(worker) for worker in workers if self._name(worker, "json") in self._names()}
        return {worker: ending for worker, ending in found.items() if ending is not None}

    def _names(self) -> set[str]:
        return set(self._kept.launch_files(self.number))

    def keep_log(self, worker: str, start: int, content: bytes) -> None:
        self._put(worker, f"{start:03d}.log", content)

    def starts(self, worker: str) -> list[int]:
        """The starts of a worker of which a log is kept, the first one first."""
        pattern = re.compile(re.escape(self._name(worker, "")) + r"(\d+)\.log")
        return sorted(int(found[1]) for found in map(pattern.fullmatch, self._names()) if found)

    def log(self, worker: str, start: int) -> bytes:
        return self._read(worker, f"{start:03d}.log") or b""


def last_of(log: Path) -> bytes:
    """The end of a log, of whole lines where it does not fit."""
    with log.open("rb") as file:
        size = file.seek(0, 2)
        if size <= LOG_BYTES:
            file.seek(0)
            return file.read()
        file.seek(size - LOG_BYTES)
        kept = file.read().partition(b"\n")[2]
    return b"--- %d bytes before this were left out\n%s" % (size - len(kept), kept)
