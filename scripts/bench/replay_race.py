"""Searches race on a table's curves: workers, a simulated clock, epochs one at a time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from replay_curves import Curves

# What becomes of a trial after an epoch.
Verdict = Literal["go on", "end", "pause"]


class Running(Protocol):
    """A trial that a search has begun."""

    def suggest(self, name: str, written: str, default: Any) -> Any:
        """The value of a parameter; ``written`` is its distribution as JSON."""

    def report(self, epoch: int, score: float) -> Verdict:
        """Whether the trial goes on; epochs count from 1."""

    def tell(self, best: float | None) -> None:
        """The trial's end: with its best score, or None where it was pruned."""


class Search(Protocol):
    """A sampler and a pruner, and the study that they know."""

    def ask(self) -> Running | None:
        """The next trial, a new one or one that was paused; None where there is none left."""


@dataclass(frozen=True)
class Outcome:
    """What a search had found when.

    Attributes:
        regrets: after every epoch that was trained, by all workers together: how much worse than the best possible
            configuration the one is that looked best so far, both by their mean curves.
        seconds: of the simulated clock, when each of those epochs had ended.
    """

    regrets: np.ndarray
    seconds: np.ndarray


@dataclass
class _Trial:
    running: Running
    expected: np.ndarray
    seen: np.ndarray
    seconds: float
    epochs: int = 0


def race(curves: Curves, make: Callable[[int], Search], seed: int, workers: int, epochs: int, patience: int) -> Outcome:
    """One search until so many epochs were trained.

    Args:
        make: the search, of a seed.
        patience: epochs without a better one after which a trial ends by itself.
    """
    search, possible = make(seed), curves.best_possible
    waiting: list[tuple[float, int, _Trial]] = []
    paused: dict[int, _Trial] = {}
    regrets, seconds, best, regret = [], [], -np.inf, np.inf
    for order in range(workers):
        _begin(search, curves, seed, 0.0, order, waiting, paused)
    order = workers
    while waiting and len(regrets) < epochs:
        now, _, trial = heapq.heappop(waiting)
        trial.epochs += 1
        if trial.seen[trial.epochs - 1] > best:
            best, regret = trial.seen[trial.epochs - 1], possible - trial.expected.max()
        regrets.append(max(regret, 0.0))
        seconds.append(now)
        verdict = _verdict(trial, curves, patience)
        if verdict == "go on":
            heapq.heappush(waiting, (now + trial.seconds, order, trial))
        else:
            if verdict == "pause":
                paused[id(trial.running)] = trial
            _begin(search, curves, seed, now, order, waiting, paused)
        order += 1
    missing = epochs - len(regrets)
    return Outcome(np.array(regrets + regrets[-1:] * missing), np.array(seconds + seconds[-1:] * missing))


def _begin(
    search: Search,
    curves: Curves,
    seed: int,
    now: float,
    order: int,
    waiting: list[tuple[float, int, _Trial]],
    paused: dict[int, _Trial],
) -> None:
    running = search.ask()
    if running is None:
        return
    if (known := paused.pop(id(running), None)) is not None:
        heapq.heappush(waiting, (now + known.seconds, order, known))
        return
    values: dict[str, Any] = {}
    for each in curves.table.parameters:
        if each.is_active(values):
            values[each.name] = running.suggest(each.name, each.written, each.default)
    expected, seconds = curves.expected(values)
    heapq.heappush(waiting, (now + seconds, order, _Trial(running, expected, curves.seen(values, seed), seconds)))


def _verdict(trial: _Trial, curves: Curves, patience: int) -> Verdict:
    """Tells the search of an epoch, and of the trial's end if it was the last."""
    sign = 1.0 if curves.table.maximize else -1.0
    shown = sign * trial.seen[: trial.epochs]
    verdict = trial.running.report(trial.epochs, float(shown[-1]))
    ended = trial.epochs == curves.table.epochs or trial.epochs - 1 - int(np.argmax(sign * shown)) >= patience
    if ended or verdict == "end":
        # As the service has it: the last epoch of all ends a trial, whatever the pruner says.
        trial.running.tell(float(sign * (sign * shown).max()) if ended else None)
        return "end"
    return verdict
