"""What a trial process is given: everything it needs, as data, so that it never opens the database."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tuner.spec.search_spec import SearchSpec


class Assignment(BaseModel):
    """One attempt at one trial.

    Attributes:
        number: the trial's number in its study.
        attempt: 1 for the first.
        data: the prepared data's folder on this node.
        run: the lease's token, which names this attempt's files.
        artifacts: where the study's artifacts are kept, as its record names it.
        scratch: this node's folder for local files of studies whose artifacts are in a bucket.
        log: the file that receives everything the process prints.
        resume_from: keys of the resume checkpoints to go on from, the best one first.
        recorded: epochs of the trial that the database has, without a gap from the first one on.
        preset: hyperparameter values to use instead of sampled ones.
        use_defaults: of the first trial: every hyperparameter without a preset takes its default; with ``"advised"``
            only where the space or the spec chose that default.
        devices: the GPUs that the process may see, as CUDA names them; empty for none, None for no restriction.
        share_device: let TensorFlow grow its memory, because other trials use the device too.
        threads: CPU threads for TensorFlow.
        answer_seconds: how long training waits for the worker's answer to an epoch.
    """

    model_config = ConfigDict(frozen=True)

    spec: SearchSpec
    number: int
    attempt: int
    data: Path
    run: int
    artifacts: str
    scratch: Path
    log: Path
    resume_from: tuple[str, ...] = ()
    recorded: int = 0
    preset: dict[str, Any] = {}
    use_defaults: bool | Literal["advised"] = False
    devices: tuple[str, ...] | None = None
    share_device: bool = False
    threads: int = 1
    answer_seconds: float = 5.0

    @property
    def seed(self) -> int:
        """The trial's seed, from the study's seed and the trial's number."""
        return trial_seed(self.spec.seed, self.number)

    def execution_seed(self, execution: int) -> int:
        """The seed of one of the trial's executions, from 0; that of the first is the trial's."""
        return trial_seed(self.spec.seed, self.number, execution)


def trial_seed(study_seed: int, number: int, execution: int = 0) -> int:
    """A seed in [0, 2**31) that differs between the trials of a study and is the same on every worker."""
    parts = (study_seed, number, execution) if execution else (study_seed, number)
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
