"""Hyperparameter values that people or other studies give, held against a search space as its listing tells it.

The listing is that of ``tuner space``: JSON, so that nothing here imports Keras. The trial process, which has the
space itself, has the last word (``tuner.hyperparameters.encoding``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tuner.errors import PresetError

Listed = Mapping[str, Any]
# Of a step, and of the difference between two decimals that people write alike.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Enqueued:
    """An enqueued configuration.

    Attributes:
        values: values of its hyperparameters, by name.
        before: number of enqueued configurations that will be tried before it.
    """

    values: dict[str, Any]
    before: int


def check_preset(space: Sequence[Listed], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values in their own types.

    Args:
        space: every hyperparameter, as ``tuner space`` lists it.
        given: values by KerasTuner's name, or by Optuna's, which has the conditions appended.

    Raises:
        PresetError: a name is not in the space, or a value is not allowed, with what is.
    """
    checked, problems = {}, []
    for name, value in given.items():
        try:
            checked[name] = _checked(space, given, name, value)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise PresetError(problems)
    return checked


def fitting(space: Sequence[Listed], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the space allows."""
    found = {}
    for name, value in given.items():
        try:
            found[name] = _checked(space, given, name, value)
        except ValueError:
            continue
    return found


def portfolio_of(space: Sequence[Listed], configurations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Those of a search space's first configurations that there are for its data, as far as it allows their values.

    A value that it does not allow takes the whole configuration with it where other hyperparameters depend on it: the
    others were chosen for a model that there is not. Of equal configurations the first one stays.
    """
    parents = {condition["parent"] for listed in space for condition in listed["conditions"]}
    found: list[dict[str, Any]] = []
    for each in configurations:
        kept = fitting(space, each)
        if kept not in found and not any(name in parents and name not in kept for name in each):
            found.append(kept)
    return found


def _checked(space: Sequence[Listed], given: Mapping[str, Any], name: str, value: Any) -> Any:
    named = [each for each in space if name in (each["name"], each["optuna_name"])]
    if not named:
        raise ValueError(f"no hyperparameter {name!r}; {_suggestion(space, name)}")
    active = [each for each in named if _may_be_active(each, given)]
    if not active:
        raise ValueError(f"{name} is not used with these values: it needs {_conditions(named)}")
    for each in active:
        if (found := _value(each, value)) is not None:
            return found
    allowed = ", or ".join(dict.fromkeys(_allowed(each) for each in active))
    raise ValueError(f"{name}: {value!r} is not allowed; it takes {allowed}")


def _suggestion(space: Sequence[Listed], name: str) -> str:
    names = list(dict.fromkeys(each["name"] for each in space))
    near = get_close_matches(name, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"the space has {', '.join(names)}"


def _may_be_active(listed: Listed, given: Mapping[str, Any]) -> bool:
    return all(
        condition["parent"] not in given
        or any(_same(given[condition["parent"]], value) for value in condition["values"])
        for condition in listed["conditions"]
    )


def _conditions(named: Sequence[Listed]) -> str:
    ways = (
        " and ".join(f"{each['parent']}={'|'.join(map(str, each['values']))}" for each in listed["conditions"])
        for listed in named
    )
    return ", or ".join(dict.fromkeys(ways))


def _value(listed: Listed, value: Any) -> Any:
    """The allowed value that is meant; None if there is none."""
    if listed["values"]:
        return next((each for each in listed["values"] if _same(value, each)), None)
    number = _number(value)
    if number is None or not listed["low"] <= number <= listed["high"]:
        return None
    if listed["step"] is not None:
        steps = (number - listed["low"]) / listed["step"]
        if abs(steps - round(steps)) > _ROUNDING:
            return None
    if listed["kind"] == "float":
        return number
    return int(number) if number == int(number) else None


def _same(given: Any, allowed: Any) -> bool:
    if isinstance(allowed, bool | str):
        return isinstance(given, str) == isinstance(allowed, str) and bool(given == allowed)
    number = _number(given)
    return number is not None and math.isclose(number, allowed, rel_tol=_ROUNDING, abs_tol=0)


def _number(value: Any) -> float | None:
    """A program may send a number as text."""
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _allowed(listed: Listed) -> str:
    if listed["values"]:
        return f"one of {', '.join(_shown(value) for value in listed['values'])}"
    steps = "" if listed["step"] in (None, 1) else f" in steps of {listed['step']}"
    return f"{listed['kind']} from {listed['low']} to {listed['high']}{steps}"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
