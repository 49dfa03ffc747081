"""What can be asked of an export: one type for the command line, the Python API, the service and its client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tuner.champion.formats.offered import ALWAYS, FORMATS, checked_formats
from tuner.champion.records.ensemble import Limits
from tuner.errors import ExportError

_MOST = 100


class ExportOptions(BaseModel):
    """Which model of a study is exported, and in which formats.

    Raises:
        ExportError: two options contradict each other.
        ValidationError: an option has a value that no export takes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: int | None = Field(
        None, ge=0, le=2**31 - 1, description="Number of the trial to export. If omitted, the champion is chosen."
    )
    prefer: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        pattern=r"^[^\x00]+$",
        description="Objective whose best trial on the Pareto front is exported, if the study has several objectives.",
    )
    top: int = Field(
        10, ge=1, le=_MOST, description="Number of best trials to score again when the champion is chosen."
    )
    single: bool = Field(
        False,
        description="Export the model of the best trial. If omitted, the champion is the average of several trials' "
        "models, unless the best one alone does as well on validation.",
    )
    smallest: bool = Field(
        False,
        description="Export the smallest model among those that validation cannot distinguish from the best: for "
        "small devices, at some cost in the score. It cannot be combined with `trial`.",
    )
    max_bytes: int = Field(
        100_000_000,
        ge=1,
        le=2**53,
        description="Largest size of an average of trials, in bytes of its .keras file.",
    )
    max_latency_ms: float = Field(
        100.0,
        gt=0,
        le=1e9,
        description="Longest time that an average of trials may take to predict one example, in milliseconds on the "
        "machine that exports it.",
    )
    refit: bool = Field(
        False,
        description="Train the best trial's hyperparameters again on the training and validation splits, score that "
        "model on the test split and export it.",
    )
    seeds: int | None = Field(
        None,
        ge=1,
        le=_MOST,
        description="Train the best trial's hyperparameters this many times with different seeds and report how far "
        "the scores spread.",
    )
    formats: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        ALWAYS,
        min_length=1,
        max_length=10,
        description=f"Formats to write: {', '.join(FORMATS)}. {' and '.join(ALWAYS)} are always written.",
    )

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        return checked_formats(formats)

    @model_validator(mode="after")
    def _compatible(self) -> Self:
        if self.trial is not None and self.smallest:
            raise ExportError("trial and smallest both say which trial is exported: give only one of them")
        if self.trial is not None and self.prefer is not None:
            raise ExportError("trial and prefer both say which trial is exported: give only one of them")
        return self

    @property
    def averages(self) -> bool:
        """Whether the champion may be an average; what is trained again, or chosen otherwise, is one trial's model."""
        chosen = self.trial is not None or self.prefer is not None or self.smallest
        return not (chosen or self.single or self.refit or self.seeds is not None)

    @property
    def limits(self) -> Limits:
        """What an average may cost."""
        return Limits(bytes=self.max_bytes, latency_ms=self.max_latency_ms)

    @property
    def asked(self) -> dict[str, Any]:
        """The options that differ from the defaults, by name; the formats in any case."""
        return self.model_dump(exclude_defaults=True) | {"formats": self.formats}


class ExportKeywords(TypedDict, total=False):
    """``ExportOptions`` as keyword arguments."""

    trial: int | None
    prefer: str | None
    top: int
    single: bool
    smallest: bool
    max_bytes: int
    max_latency_ms: float
    refit: bool
    seeds: int | None
    formats: list[str] | tuple[str, ...]


def export_options(options: ExportOptions | None, keywords: Mapping[str, Any]) -> ExportOptions:
    """The options that a caller gave as one object, or as keyword arguments.

    Raises:
        ExportError: there are both, or an option has a value that no export takes.
        TypeError: there is no such option.
    """
    if options is not None:
        if keywords:
            raise ExportError(f"give {', '.join(keywords)} within the options, not beside them")
        return options
    if unknown := [name for name in keywords if name not in ExportOptions.model_fields]:
        raise TypeError(
            f"there is no export option {', '.join(unknown)}; the options are {', '.join(ExportOptions.model_fields)}"
        )
    try:
        return ExportOptions.model_validate(keywords)
    except ValidationError as error:
        raise ExportError("; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())) from None
