"""How a champion's trial came to its model, epoch by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tuner.spec.objective import Objective

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
    def of(cls, detail: TrialDetail, objective: Objective) -> TrialCurve:
        """A trial's, as the database has it."""
        names = dict.fromkeys(name for epoch in detail.curve for name in epoch.metrics)
        made = cls(
            trial=detail.summary.trial,
            epochs=tuple(epoch.epoch for epoch in detail.curve),
            metrics={name: tuple(_finite(epoch.metrics.get(name)) for epoch in detail.curve) for name in names},
            best_epoch=detail.best_epoch,
            executions=int((detail.summary.metrics or {}).get("executions", 1)),
        )
        # The recorded one counts within its execution, and which one that was is not recorded.
        return made if made.executions == 1 else made.model_copy(update={"best_epoch": made._best(objective)})

    def _best(self, objective: Objective) -> int | None:
        best: tuple[int, float] | None = None
        for epoch, value in zip(self.epochs, self.metrics.get(objective.metric, ()), strict=False):
            if value is not None and (best is None or objective.better(value, than=best[1])):
                best = epoch, value
        return None if best is None else best[0]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
