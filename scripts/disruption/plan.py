"""What will be done to a study, and when: drawn from a seed, measured in epochs, so that no machine is too fast."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from disruption.servers import Mode

Moment = Literal["its trial has just begun", "within an epoch"]


@dataclass(frozen=True)
class KillWorker:
    """SIGKILL of a worker that has a trial; what it has started must end by itself."""

    moment: Moment


@dataclass(frozen=True)
class KillAtRung:
    """SIGKILL of a worker while it pauses a trial, or after it has promoted one."""

    moment: Literal["in the middle of a pause", "in the middle of a promotion"]


@dataclass(frozen=True)
class KillTrial:
    """SIGKILL of a trial process; its worker must go on with the trial at once."""


@dataclass(frozen=True)
class Freeze:
    """SIGSTOP of a worker until another one has its trial, then SIGCONT.

    Attributes:
        trial_too: the trial process stands still as well; else it trains on, and its worker hears of it when it wakes.
    """

    trial_too: bool


@dataclass(frozen=True)
class Outage:
    """The database is stopped, and started again after so many seconds.

    Attributes:
        kill_meanwhile: a trial process is killed and a worker is told to leave while the database is away.
    """

    mode: Mode
    seconds: float = 0.0
    kill_meanwhile: bool = False


@dataclass(frozen=True)
class HangTrial:
    """SIGSTOP of a trial process: its worker must notice, end it and go on with the trial."""


@dataclass(frozen=True)
class FullDisk:
    """The artifacts cannot be written, until a worker has said so and for so many seconds more."""

    seconds: float


@dataclass(frozen=True)
class Leave:
    """SIGTERM of a worker: it must leave in order."""


@dataclass(frozen=True)
class DamageCache:
    """A column of the prepared data is replaced by one with another bit: the next trial process must mend it."""


Disruption = KillWorker | KillAtRung | KillTrial | HangTrial | Freeze | Outage | FullDisk | Leave | DamageCache


@dataclass(frozen=True)
class Step:
    """A disruption, due once the study has stored ``after`` epochs."""

    after: int
    disruption: Disruption


# Trials must be left for what a disruption waits for: a trial that begins, a worker that adopts.
_FIRST, _LAST = 0.02, 0.65


def full_disruptions() -> tuple[Disruption, ...]:
    """Of ``scripts/chaos``.

    11 kills (one of them during an outage), a hung trial, 2 freezes, 3 outages, a full disk, 2 orderly departures,
    and a damaged cache.
    """
    return (
        *(KillWorker("its trial has just begun"),) * 3,
        *(KillWorker("within an epoch"),) * 3,
        *(KillTrial(),) * 4,
        HangTrial(),
        Freeze(trial_too=False),
        Freeze(trial_too=True),
        FullDisk(seconds=3.0),
        Outage("fast"),
        Outage("immediate"),
        Outage("fast", seconds=20.0, kill_meanwhile=True),
        Leave(),
        DamageCache(),
    )


def short_disruptions(outage: Outage) -> tuple[Disruption, ...]:
    """Of the tests."""
    return (KillWorker("within an epoch"), KillTrial(), Freeze(trial_too=False), outage, DamageCache())


def draw_plan(disruptions: Sequence[Disruption], epochs: int, seed: int) -> tuple[Step, ...]:
    """The disruptions in a random order, spread over the study.

    Args:
        epochs: how many the undisturbed study has.
    """
    chance = random.Random(seed)
    order = chance.sample(disruptions, len(disruptions))
    share = (_LAST - _FIRST) / len(order)
    places = [_FIRST + share * (index + chance.random()) for index in range(len(order))]
    return tuple(Step(round(place * epochs), disruption) for place, disruption in zip(places, order, strict=True))
