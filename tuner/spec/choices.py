"""What is chosen by its name, with options: sampler, pruner, search space, and the study to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from tuner.spec.field_types import PositiveInt, Section, resolve

SAMPLERS = ("tpe", "random", "gp", "cmaes", "qmc", "nsga2", "grid", "brute_force")
PRUNERS = ("asha", "hyperband", "median", "percentile", "patient", "threshold", "none")
SPACES = ("image", "text", "structured")
# Optuna's CMA-ES knows one objective only.
ONE_OBJECTIVE = ("cmaes",)


class _Named(BaseModel):
    """A name with options: written ``tpe``, or ``{name: tpe, n_startup_trials: 20}``."""

    model_config = ConfigDict(extra="allow", frozen=True)
    names: ClassVar[tuple[str, ...]] = ()
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if cls.names and name not in cls.names:
            raise ValueError(f"unknown name {name!r}; one of {', '.join(cls.names)}")
        return name

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Sampler(_Named):
    names = SAMPLERS
    name: str = "tpe"


class Pruner(_Named):
    names = PRUNERS
    name: str = "asha"


class Space(_Named):
    """``image``, ``package.module:HyperModelClass`` or ``path/to/file.py:HyperModelClass``, with options."""

    @field_validator("name")
    @classmethod
    def _place(cls, name: str, info: ValidationInfo) -> str:
        place, colon, attribute = name.rpartition(":")
        if not colon:
            if name not in SPACES:
                raise ValueError(
                    f"unknown space {name!r}; one of {', '.join(SPACES)}, or package.module:HyperModelClass, "
                    "or path/to/file.py:HyperModelClass"
                )
            return name
        if not attribute.isidentifier():
            raise ValueError(f"{attribute!r} after the colon is not a class name")
        return f"{resolve(Path(place), info)}:{attribute}" if place.endswith(".py") else name


class WarmStart(Section):
    """A study whose best trials are tried first: written ``other_study``, or ``{study: other_study, trials: 10}``."""

    study: str = Field(min_length=1)
    trials: PositiveInt = 5

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"study": value} if isinstance(value, str) else value
