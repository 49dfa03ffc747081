"""Lists a whole search space, which define-by-run code shows one configuration at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras_tuner

from tuner.hyperparameters.bridge import AS_DECLARED, TrialHyperParameters, default_of
from tuner.hyperparameters.declared import Condition, Declared
from tuner.hyperparameters.overrides import RefusedEntry
from tuner.spec.hyperparameters import Hyperparameters

Build = Callable[[keras_tuner.HyperParameters], object]

# Ranges of up to so many integers (numbers of layers, mostly) are tried value by value, larger
# ones at their ends.
_SMALL_RANGE = 12


@dataclass(frozen=True)
class _Run:
    """One build: what it declared, in order, and the values of what was active."""

    declared: dict[str, Declared]
    values: Mapping[str, Any]
    complete: bool


@dataclass
class _Agenda:
    """The values still to try, those that are likely to reveal something first."""

    likely: deque[dict[str, Any]] = field(default_factory=deque)
    between: deque[dict[str, Any]] = field(default_factory=deque)
    planned: set[tuple[str, Any]] = field(default_factory=set)

    def plan(self, run: _Run) -> None:
        """Adds every value not yet tried of what was active, where it was found."""
        self.planned.update(run.values.items())
        for name in run.values:
            likely, between = _alternatives(run.declared[name])
            self._add(self.likely, run, name, likely)
            self._add(self.between, run, name, between)

    def _add(self, queue: deque[dict[str, Any]], run: _Run, name: str, values: Iterable[Any]) -> None:
        for value in values:
            if (name, value) not in self.planned:
                self.planned.add((name, value))
                queue.append({**run.values, name: value})

    def next(self) -> dict[str, Any] | None:
        queue = self.likely or self.between
        return queue.popleft() if queue else None


def explore(build: Build, limit: int = 100, spec: Hyperparameters = AS_DECLARED) -> tuple[Declared, ...]:
    """Every hyperparameter of a search space.

    ``build`` runs with the defaults, then with one value changed at a time: every value of each
    Choice and Boolean, of each Int with few values, and the ends of other Ints, each in the
    configuration in which it was first met. So scopes and plain ``if`` branches at any depth are
    reached. What only a combination of two values reveals, neither of which revealed anything by
    itself, is found only if a ``conditional_scope`` declares it.

    Args:
        build: a hypermodel's ``build``, or anything that asks for the same hyperparameters.
        limit: runs ``build`` at most so many times.
        spec: what it has otherwise than the space declares it.

    Returns:
        Everything declared. Where a hyperparameter was met under some values only and no
        ``conditional_scope`` says so, its conditions hold the one that explains where, marked
        ``discovered``.

    Raises:
        RefusedEntry: the spec and the space do not go together.
        Exception: whatever ``build`` raises with the defaults. Other configurations may fail.
    """
    runs: list[_Run] = []
    agenda = _Agenda()
    chosen: dict[str, Any] | None = {}
    while chosen is not None and len(runs) < limit:
        run = _run(build, chosen, spec, may_fail=bool(runs))
        runs.append(run)
        agenda.plan(run)
        chosen = agenda.next()
    return _with_discovered_conditions(runs)


def _run(build: Build, chosen: Mapping[str, Any], spec: Hyperparameters, may_fail: bool) -> _Run:
    hp = TrialHyperParameters(default_of, chosen, use_defaults=True, spec=spec)
    complete = True
    try:
        build(hp)
    except RefusedEntry:
        raise
    except Exception:
        if not may_fail:
            raise
        complete = False
    return _Run({each.optuna_name: each for each in hp.declared}, dict(hp.suggested), complete)


def _alternatives(declared: Declared) -> tuple[Sequence[Any], Sequence[Any]]:
    if declared.kind in ("choice", "boolean"):
        return declared.values, ()
    if declared.kind != "int":
        return (), ()
    if declared.values:
        return (declared.values[0], declared.values[-1]), declared.values[1:-1][:_SMALL_RANGE]
    low, high = declared.bounds
    values = range(int(low), int(high) + 1, int(declared.step or 1))
    return (values[-1], values[0]), values[1:-1] if len(values) <= _SMALL_RANGE else ()


def _with_discovered_conditions(runs: Sequence[_Run]) -> tuple[Declared, ...]:
    every = _merged(runs)
    complete = [run for run in runs if run.complete]
    found: list[Declared] = []
    for name, declared in every.items():
        condition = None if declared.conditions else _explanation(name, found, complete)
        found.append(replace(declared, conditions=(condition,)) if condition else declared)
    return tuple(found)


def _merged(runs: Sequence[_Run]) -> dict[str, Declared]:
    """Everything declared by any run, each beside what it stood beside there."""
    order: list[str] = []
    every: dict[str, Declared] = {}
    for run in runs:
        place = 0
        for name, declared in run.declared.items():
            if name not in every:
                every[name] = declared
                order.insert(place, name)
            place = order.index(name) + 1
    return {name: every[name] for name in order}


def _explanation(name: str, before: Sequence[Declared], runs: Sequence[_Run]) -> Condition | None:
    """The first earlier hyperparameter whose value decides whether ``name`` is declared."""
    present = [run for run in runs if name in run.declared]
    absent = [run for run in runs if name not in run.declared]
    if not absent or not present:
        return None
    for parent in before:
        key = parent.optuna_name
        if parent.kind not in ("choice", "boolean", "int") or any(key not in run.values for run in present):
            continue
        values = {run.values[key] for run in present}
        if all(run.values.get(key) not in values for run in absent):
            return Condition(parent.name, tuple(sorted(values, key=_place(parent))), discovered=True)
    return None


def _place(declared: Declared) -> Callable[[Any], float]:
    return declared.values.index if declared.values else float
