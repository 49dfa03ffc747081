"""Hyperparameters as a spec has them, in place of what the search space declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from keras_tuner.engine import hyperparameters as kinds
from keras_tuner.engine.hyperparameters import HyperParameter
from keras_tuner.errors import FatalError

from tuner.errors import SpaceError
from tuner.hyperparameters.declared import Condition, Declared, declared_from
from tuner.spec.hyperparameters import Entry, Hyperparameters

_ENTRIES = "hyperparameters.entries"
_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


class RefusedEntry(SpaceError, FatalError):
    """The spec and the search space do not go together in a hyperparameter; no trial can help that."""


def overridden(hyperparameter: HyperParameter, spec: Hyperparameters) -> HyperParameter:
    """What the spec makes of a hyperparameter of the space.

    Raises:
        RefusedEntry: the spec's entry has values that the hyperparameter cannot have, or there is none and the spec
            wants one.
    """
    if not spec.changes_something:
        return hyperparameter
    declared = declared_from(hyperparameter)
    key, entry = _entry(declared, spec)
    if entry is not None:
        return _Overriding(hyperparameter, declared, entry, f"{_ENTRIES}.{key}").result()
    if not spec.allow_new_entries:
        raise RefusedEntry(
            f"hyperparameters.allow_new_entries: the search space declares {declared.name!r}, which entries does not "
            f"name{_meant(declared.name, spec.entries)}",
            "hyperparameters.allow_new_entries",
        )
    return hyperparameter if spec.tune_new_entries else _fixed(hyperparameter, hyperparameter.default)


def _entry(declared: Declared, spec: Hyperparameters) -> tuple[str, Entry | None]:
    for name in (declared.optuna_name, declared.name):
        if name in spec.entries:
            return name, spec.entries[name]
    return declared.name, None


def is_advised(declared: Declared, spec: Hyperparameters) -> bool:
    """Whether the space or the spec says which value is a good one to begin with."""
    entry = _entry(declared, spec)[1]
    return declared.advised or (entry is not None and entry.default is not None)


def check_entries(spec: Hyperparameters, declared: Iterable[Declared]) -> None:
    """Raises RefusedEntry for an entry that is none of the space's hyperparameters."""
    listed = list(declared)
    for name in unknown_entries(spec, listed):
        names = list(dict.fromkeys(each.name for each in listed))
        has = f"; it has {', '.join(names)}" if names else ""
        raise RefusedEntry(
            f"{_ENTRIES}.{name}: the search space has no hyperparameter {name!r}{_meant(name, names) or has}",
            f"{_ENTRIES}.{name}",
        )


def unknown_entries(spec: Hyperparameters, declared: Iterable[Declared]) -> list[str]:
    """The entries that are none of these hyperparameters."""
    known = {name for each in declared for name in (each.name, each.optuna_name)}
    return [name for name in spec.entries if name not in known]


def _meant(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def reachable(declared: Sequence[Declared]) -> tuple[Declared, ...]:
    """Those whose conditions some configuration keeps: a parent that is fixed leaves its other branches out."""
    found: list[Declared] = []
    for each in declared:
        if all(_can_hold(condition, found, declared) for condition in each.conditions):
            found.append(each)
    return tuple(found)


def _can_hold(condition: Condition, reached: Sequence[Declared], every: Sequence[Declared]) -> bool:
    if all(each.name != condition.parent for each in every):
        return True
    parents = [each for each in reached if each.name == condition.parent]
    return any(_takes(parent, value) for parent in parents for value in condition.values)


def _takes(declared: Declared, value: Any) -> bool:
    if declared.values:
        return value in declared.values
    low, high = declared.bounds
    return bool(low <= value <= high)


def _fixed(hyperparameter: HyperParameter, value: Any) -> HyperParameter:
    return kinds.Fixed(hyperparameter.name, value, conditions=hyperparameter.conditions)


class _Overriding:
    """One hyperparameter of the space, and what the spec says of it."""

    def __init__(self, hyperparameter: HyperParameter, declared: Declared, entry: Entry, key: str) -> None:
        self._own, self._declared, self._entry, self._key = hyperparameter, declared, entry, key
        # Of the values; a number of a choice of integers is an integer.
        self._type = {"int": int, "float": float, "boolean": bool}.get(declared.kind) or type(declared.values[0])

    def result(self) -> HyperParameter:
        entry = self._entry
        if entry.value is not None:
            return _fixed(self._own, self._of_its_type(entry.value))
        if entry.values is not None:
            return self._choice([self._of_its_type(each) for each in entry.values])
        if entry.is_range:
            return self._range()
        return self._own if entry.default is None else self._with_default()

    def _with_default(self) -> HyperParameter:
        if self._declared.kind in ("int", "float"):
            return self._range()
        if self._declared.kind == "fixed":
            raise self._refused("the search space fixes it; give a value")
        if self._of_its_type(self._entry.default) not in self._declared.values:
            raise self._refused(f"the default must be one of {_listed(self._declared.values)}")
        return self._choice(list(self._declared.values))

    def _choice(self, values: list[Any]) -> HyperParameter:
        default = self._default_among(values)
        if self._type is bool:
            both = len(set(values)) > 1
            name, conditions = self._own.name, self._own.conditions
            return kinds.Boolean(name, default, conditions=conditions) if both else _fixed(self._own, values[0])
        ordered = self._declared.ordered if self._declared.kind == "choice" else self._type is not str
        return kinds.Choice(self._own.name, values, ordered=ordered, default=default, conditions=self._own.conditions)

    def _default_among(self, values: Sequence[Any]) -> Any:
        if self._entry.default is not None:
            return self._of_its_type(self._entry.default)
        if not self._declared.advised:
            return None
        default = self._declared.default
        if default in values or self._type not in (int, float):
            return default if default in values else values[0]
        return min(values, key=lambda each: abs(each - default))

    def _range(self) -> HyperParameter:
        if self._type not in (int, float):
            raise self._refused(f"it takes {self._takes()}; give values in place of a range")
        entry, own = self._entry, self._declared
        low, high = self._bound(entry.min_value, own.low), self._bound(entry.max_value, own.high)
        sampling = entry.sampling or own.sampling or "linear"
        # A distance is no factor.
        inherited = own.step if sampling == (own.sampling or "linear") else None
        step = inherited if entry.step is None else self._of_its_type(entry.step)
        default = self._default_within(low, high)
        kind = kinds.Int if self._type is int else kinds.Float
        try:
            return kind(self._own.name, low, high, step, sampling, default, conditions=self._own.conditions)
        except ValueError as error:
            raise self._refused(str(error)) from None

    def _bound(self, given: Any, own: float | None) -> Any:
        if given is not None:
            return self._of_its_type(given)
        if own is None:
            raise self._refused("the search space gives single values; give both min_value and max_value")
        return own

    def _default_within(self, low: float, high: float) -> Any:
        if self._entry.default is None:
            return min(max(self._declared.default, low), high) if self._declared.advised else None
        default = self._of_its_type(self._entry.default)
        if not low <= default <= high:
            raise self._refused(f"the default {default} is not from {low} to {high}")
        return default

    def _of_its_type(self, value: Any) -> Any:
        """A value that the hyperparameter may have had, were it declared otherwise."""
        own = self._type
        # KerasTuner makes integers of a choice's true and false.
        is_flag = own is int and set(self._declared.values) <= {0, 1} and self._declared.kind == "choice"
        if isinstance(value, bool) and (own is bool or is_flag):
            return own(value)
        if isinstance(value, str) and own is str:
            return value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and (own is float or (own is int and value == int(value))):
            return own(value)
        raise self._refused(f"{value!r} is not {_WORDS[own]}, and the search space gives it {self._takes()}")

    def _takes(self) -> str:
        declared = self._declared
        if declared.values:
            return _listed(declared.values)
        return f"{_WORDS[self._type]} from {declared.low} to {declared.high}"

    def _refused(self, reason: str) -> RefusedEntry:
        return RefusedEntry(f"{self._key}: {reason}", self._key)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values))
