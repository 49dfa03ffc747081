"""The objectives of a study as what is measured of its trials."""

from __future__ import annotations

import math
from dataclasses import dataclass

from storage.history import StudyHistory, TrialHistory


@dataclass(frozen=True)
class Measure:
    """An objective: its name, its place among the others, and whether more is better."""

    name: str
    index: int
    maximize: bool

    @property
    def better(self) -> str:
        return "higher" if self.maximize else "lower"

    def of(self, trial: TrialHistory) -> float | None:
        """The trial's value; of the leading objective also the best that an unfinished trial reached."""
        value = trial.values[self.index] if trial.values else trial.summary.measures.get(self.name)
        if value is None and self.index == 0:
            value = trial.summary.value
        return value if finite(value) else None


def measures(history: StudyHistory) -> tuple[Measure, ...]:
    names = [each["metric"] for each in history.status.objectives]
    names = names or ["value"] if len(history.maximize) == 1 else names
    names = names or [f"value {index}" for index in range(len(history.maximize))]
    return tuple(Measure(name, index, history.maximize[index]) for index, name in enumerate(names))


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
