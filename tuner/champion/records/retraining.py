"""How a trial's hyperparameters do when they are trained again."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from pydantic import BaseModel, ConfigDict

from tuner.champion.records.assessment import Score


class Spread(BaseModel):
    """Attributes: ``deviation``: the standard deviation; None of a single value."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    mean: float
    deviation: float | None
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        deviation = stdev(values) if len(values) > 1 else None
        return cls(mean=fmean(values), deviation=deviation, least=min(values), most=max(values))


class Run(BaseModel):
    """One training. Scores are the objective; None where the split was trained on or is not there."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    seed: int
    validation: Score | None
    test: Score | None


class Retraining(BaseModel):
    """The same hyperparameters, trained again for as many epochs as the trial's best one took.

    Attributes:
        trained_on: the splits.
        exported: the first run's model is what was exported.
    """

    model_config = ConfigDict(frozen=True)

    trained_on: tuple[str, ...]
    epochs: int
    runs: tuple[Run, ...]
    exported: bool

    @property
    def validation(self) -> Spread | None:
        """None if the models were trained on it."""
        return _spread([run.validation for run in self.runs])

    @property
    def test(self) -> Spread | None:
        """None if there is no such split."""
        return _spread([run.test for run in self.runs])


def _spread(scores: Sequence[Score | None]) -> Spread | None:
    values = [score.value for score in scores if score is not None]
    return Spread.of(values) if values else None
