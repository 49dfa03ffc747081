"""What was done to a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Killed:
    """Attributes: what; the worker's name; the trial's number if it had one; when, in Unix seconds."""

    what: Literal["worker", "trial process"]
    worker: str
    trial: int | None
    at: float


@dataclass(frozen=True)
class Frozen:
    """A worker that stood still until its trial was adopted.

    Attributes:
        token: of the lease while this worker held it.
        checkpoint: the last that the trial's log named before the freeze; 0 for none.
        stopped: its trial process ended after it woke.
    """

    worker: str
    trial: int
    trial_too: bool
    token: int
    checkpoint: int
    adopted: bool
    stopped: bool


@dataclass(frozen=True)
class Away:
    """An outage: from when to when, in Unix seconds."""

    mode: str
    begin: float
    end: float


@dataclass(frozen=True)
class Hung:
    """A trial process that was halted; whether its worker ended it and went on."""

    worker: str
    trial: int
    ended: bool


@dataclass
class Diary:
    kills: list[Killed] = field(default_factory=list)
    freezes: list[Frozen] = field(default_factory=list)
    outages: list[Away] = field(default_factory=list)
    hangs: list[Hung] = field(default_factory=list)
    full_disks: list[Away] = field(default_factory=list)
    departures: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)

    def killed(self, what: str) -> int:
        return sum(1 for kill in self.kills if kill.what == what)
