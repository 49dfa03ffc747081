"""Exports that a service makes for others: how each stands, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from tuner.champion.export.options import ExportOptions

ExportState = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class ExportFault:
    """Why an export failed: the class of the error, its message and its details."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportEnd:
    """The result of an export: a version of the study's champion, or an error.

    Attributes:
        violated: the study's constraints that the trial breaks, in words.
        unassessed: why its score could not be computed again to choose among the best trials.
        refused: formats that cannot represent the model, with the reason.
        cancelled: whether it was cancelled; the fault says by whom.
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
    """The state of an export. ``end`` is set once it is neither waiting nor running."""

    id: str
    study: str
    options: ExportOptions
    who: str
    state: ExportState
    begun_at: datetime
    ended_at: datetime | None = None
    end: ExportEnd | None = None

    def with_end(self, end: ExportEnd, at: datetime) -> ExportView:
        """The same, once it has ended."""
        return replace(self, state=end.state, ended_at=at, end=end)
