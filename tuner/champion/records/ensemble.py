"""An average of several trials' models, and how it does beside a single one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tuner.champion.records.assessment import Score


class Member(BaseModel):
    """A trial in an ensemble; ``weight`` is its share of the average."""

    model_config = ConfigDict(frozen=True)

    trial: int
    weight: float


class Limits(BaseModel):
    """What an average may cost.

    Attributes:
        bytes: of its ``.keras`` file.
        latency_ms: as of ``Cost``.
    """

    model_config = ConfigDict(frozen=True)

    bytes: int
    latency_ms: float


class Cost(BaseModel):
    """What a model scores and costs.

    Attributes:
        validation, test: the objective; ``test`` is None without such a split.
        parameters: of the model.
        bytes: of its ``.keras`` file, without an optimizer's state for an ensemble.
        latency_ms: median time of a prediction for one example, end to end, where it was exported.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    validation: Score
    test: Score | None
    parameters: int
    bytes: int
    latency_ms: float


class Ensemble(BaseModel):
    """An average of trials, see ``tuner.champion.choosing.selection``.

    Attributes:
        members: the heaviest first; the weights add up to 1.
        average: of ``probabilities``, or of the ``outputs`` themselves.
        single: the champion without an ensemble, trial ``single_trial``.
    """

    model_config = ConfigDict(frozen=True)

    members: tuple[Member, ...] = Field(min_length=2)
    average: str
    whole: Cost
    single_trial: int
    single: Cost
