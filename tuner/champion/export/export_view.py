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
    """Why an export failed.

    Attributes:
        code: class of the error.
        message: the error's message.
        details: the error's details, by name.
    """

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportEnd:
    """The result of an export: a version of the study's champion, or an error.

    Attributes:
        version: version of the champion; None if the export did not give one.
        violated: the study's constraints that the trial breaks, in words.
        unassessed: why the trial's score could not be computed again to choose among the best trials; None if it could.
        refused: formats that cannot represent the model, each with the reason.
        fault: why the export failed; None if it did not.
        cancelled: whether the export was cancelled; the fault says by whom.
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
    """The state of an export.

    Attributes:
        id: id of the export.
        study: name of the study.
        options: which model is exported, and in which formats.
        who: name of the caller that started the export.
        state: state of the export: ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
        begun_at: when the export was requested, UTC.
        ended_at: when the export ended, UTC; None while it has not ended.
        end: result of the export; None while it is waiting or running.
    """

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
