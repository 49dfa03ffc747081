"""What is to be exported, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tuner.champion.record import Champion, Verification
from tuner.spec import SearchSpec


class ExportRequest(BaseModel):
    """A trial and its kept model.

    Attributes:
        spec: the study's spec; its objective is what is verified.
        trial: the trial's number.
        checkpoint: the ``.keras`` file that the trial kept of its best epoch.
        value: the objective recorded at that epoch.
        metrics: all metrics recorded at that epoch.
        params: the trial's hyperparameters.
        class_names: label ``i`` is ``class_names[i]``.
        data_fingerprint: of the data that the study was run on.
        cache: the folder that holds this node's prepared data.
    """

    model_config = ConfigDict(frozen=True)

    spec: SearchSpec
    study: str
    trial: int
    checkpoint: Path
    value: float
    metrics: dict[str, float]
    params: dict[str, Any]
    class_names: tuple[str, ...]
    data_fingerprint: str
    cache: Path

    @property
    def evaluation_batch(self) -> int:
        """The batch size with which the trial was evaluated."""
        return int(self.params.get("batch_size") or self.spec.training.batch_size)


@dataclass(frozen=True)
class ExportReport:
    """An export that stands at ``folder``; ``champion`` is what its champion.json says.

    ``violated`` has the study's constraints that the trial breaks, in words.
    """

    folder: Path
    champion: Champion
    violated: tuple[str, ...] = ()

    @property
    def verification(self) -> Verification:
        return self.champion.verification
