"""Exports that a service makes for others: what is asked for, and how each stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from storage.database import Database
from tuner.champion.export.pipeline import Wish, trials_to_export
from tuner.champion.formats.offered import ALWAYS
from tuner.study.open_study import OpenStudy

ExportState = Literal["waiting", "running", "done", "failed", "cancelled"]


class ExportAsked(BaseModel):
    """What ``tuner.api.export_champion`` takes, but for the folder: the files go to the study's artifacts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: int | None = Field(None, ge=0, lt=2**31)
    prefer: str | None = Field(None, min_length=1, max_length=512, pattern=r"^[^\x00]+$")
    top: int = Field(5, ge=1, le=100)
    ensemble: int | None = Field(None, ge=2, le=100)
    refit: bool = False
    seeds: int | None = Field(None, ge=1, le=100)
    formats: tuple[Annotated[str, Field(max_length=64)], ...] = Field(ALWAYS, min_length=1, max_length=10)

    def check(self, database: Database, study: str) -> None:
        """Looks whether a study can give that, as far as its database tells.

        Raises:
            UnknownStudy, UnknownTrial: there is none.
            ExportError, UnreadableSpec: it cannot.
        """
        trials_to_export(OpenStudy.load(database, study), Wish(**self.model_dump()))

    @property
    def options(self) -> dict[str, Any]:
        """What is not as usual, by name; the formats in any case."""
        return self.model_dump(exclude_defaults=True) | {"formats": self.formats}


@dataclass(frozen=True)
class ExportFault:
    """Why there is no champion: the error's class, its message, and what it knows besides."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportEnd:
    """What came of an export: a version of the study's champion, or a fault.

    Attributes:
        violated: the study's constraints that the trial breaks, in words.
        unassessed: why its score could not be computed again to choose among the best trials.
        refused: formats that cannot carry the model, with the reason.
        cancelled: somebody ended it; the fault says who.
    """

    version: int | None = None
    violated: tuple[str, ...] = ()
    unassessed: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    fault: ExportFault | None = None
    cancelled: bool = False

    @property
    def state(self) -> ExportState:
        if self.cancelled:
            return "cancelled"
        return "failed" if self.fault else "done"


@dataclass(frozen=True)
class ExportView:
    """How an export stands. ``end`` is there once it neither waits nor runs."""

    id: str
    study: str
    asked: ExportAsked
    who: str
    state: ExportState
    begun_at: datetime
    ended_at: datetime | None = None
    end: ExportEnd | None = None

    def with_end(self, end: ExportEnd, at: datetime) -> ExportView:
        """The same, once it has ended."""
        return replace(self, state=end.state, ended_at=at, end=end)
