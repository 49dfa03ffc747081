"""How a champion's trial came to its model, epoch by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tuner.spec.objective import EXECUTION

if TYPE_CHECKING:
    # The processes of an export read these records, and no database.
    from storage.leaderboard import TrialDetail


class TrialCurve(BaseModel):
    """The metrics of a trial's epochs.

    Attributes:
        epochs: their numbers, from 1 and on through the trial's executions.
        metrics: by name, a value for each of ``epochs``; None where it was not logged or is not a finite number.
        best_epoch: the one whose model was kept; None if it is not known.
        executions: how often the trial was trained.
    """

    model_config = ConfigDict(frozen=True)

    trial: int
    epochs: tuple[int, ...]
    metrics: dict[str, tuple[float | None, ...]]
    best_epoch: int | None
    executions: int = 1

    @classmethod
    def of(cls, detail: TrialDetail) -> TrialCurve:
        """A trial's, as the database has it."""
        names = dict.fromkeys(name for epoch in detail.curve for name in epoch.metrics)
        return cls(
            trial=detail.summary.trial,
            epochs=tuple(epoch.epoch for epoch in detail.curve),
            metrics={name: tuple(_finite(epoch.metrics.get(name)) for epoch in detail.curve) for name in names},
            best_epoch=detail.best_epoch,
            executions=int((detail.summary.metrics or {}).get("executions", 1)),
        )


def epochs_to_best(detail: TrialDetail) -> int | None:
    """After how many epochs of training the kept model was at its best; None if that is not known.

    Epochs count on from one execution of a trial to the next, while a training again is one execution.
    """
    if detail.best_epoch is None or "executions" not in (detail.summary.metrics or {}):
        return detail.best_epoch
    executions = [epoch.metrics.get(EXECUTION) for epoch in detail.curve if epoch.epoch <= detail.best_epoch]
    return executions.count(executions[-1]) if executions else detail.best_epoch


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
