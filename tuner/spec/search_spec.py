"""SearchSpec: the one description of a search that YAML, the command line, HTTP and Python share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from tuner.spec.choices import ONE_OBJECTIVE, SPACES, Pruner, Sampler, Space, WarmStart
from tuner.spec.constraints import Constraint, parse_comparison
from tuner.spec.data import DataSpec
from tuner.spec.field_types import Comparison, Count, Duration, PositiveInt, Section, resolve
from tuner.spec.objective import MEASURES, Objective, infer_direction
from tuner.spec.problems import contradiction
from tuner.spec.sections import LaunchSettings, Resources, Training

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Each is a row in the database from the start.
MOST_TRIALS = 1_000_000


class SearchSpec(Section):
    """Everything that defines a study. Paths are absolute once it has been read."""

    study: str
    data: Annotated[DataSpec, Field(discriminator="kind")]
    space: Space
    objectives: Annotated[tuple[Objective, ...], Field(validation_alias="objective")]
    constraints: dict[str, Comparison] = Field(default={})
    trials: Annotated[PositiveInt, Field(le=MOST_TRIALS)] = 30
    timeout: Duration | None = None
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    sampler: Sampler = Sampler()
    pruner: Pruner = Pruner()
    warm_start: WarmStart | None = None
    seed: Annotated[Count, Field(lt=2**31)] = 0
    training: Training = Training()
    resources: Resources = Resources()
    launch: LaunchSettings = LaunchSettings()
    priority: Annotated[int, Strict(), Field(ge=-1000, le=1000)] = 0
    keep_checkpoints: PositiveInt = 5
    storage: str | None = None
    artifacts: str | None = None

    @field_validator("study")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not STUDY_NAME.fullmatch(name):
            raise ValueError("letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100")
        return name

    @field_validator("objectives", mode="before")
    @classmethod
    def _with_directions(cls, value: Any) -> Any:
        each = value if isinstance(value, list | tuple) else [value]
        if not each:
            raise ValueError("name at least one metric, such as val_accuracy")
        return [{"metric": one, "direction": infer_direction(one)} if isinstance(one, str) else one for one in each]

    @field_validator("objectives")
    @classmethod
    def _one_leads(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        names = [each.metric for each in objectives]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} stands there twice")
        if names[0] in MEASURES:
            raise ValueError(
                f"{names[0]} is measured after training; the first objective decides about the best epoch and early "
                f"stopping and must be one that every epoch logs: [val_accuracy, {names[0]}]"
            )
        return objectives

    @field_validator("sampler")
    @classmethod
    def _takes_the_objectives(cls, sampler: Sampler, info: ValidationInfo) -> Sampler:
        if len(info.data.get("objectives", ())) > 1 and sampler.name in ONE_OBJECTIVE:
            raise ValueError(f"{sampler.name} takes one objective only; with several use nsga2 or tpe")
        return sampler

    @field_validator("warm_start")
    @classmethod
    def _can_be_warm(cls, value: WarmStart | None, info: ValidationInfo) -> WarmStart | None:
        if value is None:
            return None
        if value.study == info.data.get("study"):
            raise ValueError("a study cannot start from its own trials; name another one")
        if "sampler" in info.data and info.data["sampler"].name == "grid":
            raise ValueError("the grid sampler tries its own values only; use another sampler, or no warm start")
        return value

    @field_validator("artifacts")
    @classmethod
    def _artifacts_place(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if value.startswith("s3://"):
            return value
        if "://" in value:
            raise ValueError("a folder or s3://BUCKET/PREFIX")
        return str(resolve(Path(value), info))

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.space.name in SPACES and self.data.unlabelled is not None:
            raise contradiction(f"the space {self.space.name} needs labels", f"data.{self.data.unlabelled}", "space")
        return self

    @property
    def objective(self) -> Objective:
        """The leading objective: it decides about early stopping, the best epoch, pruning and the target."""
        return self.objectives[0]

    @property
    def limits(self) -> tuple[Constraint, ...]:
        """The constraints, parsed."""
        return tuple(Constraint(name, *parse_comparison(text)) for name, text in self.constraints.items())

    @property
    def wanted(self) -> tuple[str, ...]:
        """What must be known of a trained model besides its value: every objective and constraint, if there are more.

        Empty for one objective without constraints.
        """
        if len(self.objectives) == 1 and not self.constraints:
            return ()
        return tuple(dict.fromkeys([*(each.metric for each in self.objectives), *self.constraints]))

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if "objectives" in data:
            every = data.pop("objectives")
            data["objective"] = every[0] if len(every) == 1 else list(every)
        return data

    def stored(self) -> dict[str, Any]:
        """The spec as JSON for the study's record, without what may hold a password: the storage URL, ``launch``."""
        return self.model_dump(mode="json", exclude={"storage", "launch"})
