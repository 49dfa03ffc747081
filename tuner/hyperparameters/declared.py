"""A hyperparameter as a search space declares it, and the name it has in Optuna."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from keras_tuner.engine import hyperparameters as kinds

from storage.parameter_names import has_suffix, scoped

Kind = Literal["int", "float", "choice", "boolean", "fixed"]


@dataclass(frozen=True)
class Condition:
    """A hyperparameter is active only while ``parent`` has one of ``values``.

    Attributes:
        parent: KerasTuner's full name of the parent.
        values: in the order in which the space gives them.
        discovered: found by exploring: the space branches in plain Python, without a
            ``conditional_scope``.
    """

    parent: str
    values: tuple[Any, ...]
    discovered: bool = False

    def __str__(self) -> str:
        return f"{self.parent}={'|'.join(str(value) for value in self.values)}"

    def as_dict(self) -> dict[str, Any]:
        return {"parent": self.parent, "values": list(self.values), "discovered": self.discovered}


@dataclass(frozen=True)
class Declared:
    """One hyperparameter of a search space.

    Attributes:
        name: KerasTuner's full name, with its name scopes: ``"optimizer/rate"``.
        low: least value of an int or float; None otherwise.
        high: greatest value, inclusive.
        step: added (linear) or multiplied (log) between values; None where every value is possible.
        sampling: ``"linear"``, ``"log"`` or ``"reverse_log"`` of an int or float; None otherwise.
        values: all values, where the space lists them; empty for a range.
        default: its value where nobody says another one.
        advised: whoever wrote the space chose that default, or it is a flag's. Otherwise it is the first of the values
            or the least number, which says nothing of how good it is.
        conditions: all must hold for the hyperparameter to be active.
        ordered: a choice whose values have an order that samplers may use.
    """

    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    step: float | None = None
    sampling: str | None = None
    values: tuple[Any, ...] = ()
    default: Any = None
    conditions: tuple[Condition, ...] = ()
    ordered: bool = False
    advised: bool = False

    @property
    def optuna_name(self) -> str:
        """Unique in a trial, even where one name has several conditions: ``units[model=a]``."""
        scope = ",".join(str(condition) for condition in self.conditions if not condition.discovered)
        # A name of the space's own that looks as if it had a scope has an empty one.
        return scoped(self.name, scope) if scope or has_suffix(self.name) else self.name

    @property
    def bounds(self) -> tuple[float, float]:
        """``low`` and ``high`` of a number. Raises TypeError for another kind."""
        if self.low is None or self.high is None:
            raise TypeError(f"{self.name} is a {self.kind} and has no bounds")
        return self.low, self.high

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON takes them, and ``optuna_name``."""
        return {
            "name": self.name,
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "step": self.step,
            "sampling": self.sampling,
            "values": list(self.values),
            "default": self.default,
            "conditions": [condition.as_dict() for condition in self.conditions],
            "ordered": self.ordered,
            "advised": self.advised,
            "optuna_name": self.optuna_name,
        }


def declared_from(hyperparameter: Any) -> Declared:
    """What KerasTuner was told about a hyperparameter.

    Raises:
        ValueError: its class is none of KerasTuner's five.
    """
    for kind, describe in _DESCRIBE.items():
        if isinstance(hyperparameter, kind):
            conditions = tuple(Condition(each.name, tuple(each.values)) for each in hyperparameter.conditions)
            # A flag that is off by KerasTuner's own default is off in what people know to work.
            advised = hyperparameter._default is not None
            return Declared(hyperparameter.name, conditions=conditions, advised=advised, **describe(hyperparameter))
    raise ValueError(f"hyperparameter {hyperparameter.name!r}: {type(hyperparameter).__name__} is not supported")


def _int(hp: kinds.Int) -> dict[str, Any]:
    return _number(hp, int, hp.step)


def _float(hp: kinds.Float) -> dict[str, Any]:
    return _number(hp, float, None if hp.step is None else float(hp.step))


def _number(hp: Any, number: type, step: float | None) -> dict[str, Any]:
    # KerasTuner's own list is right where steps multiply; where they add, rounding can cost it
    # the last value.
    listed = step is not None and hp.sampling != "linear"
    return {
        "kind": number.__name__,
        "low": number(hp.min_value),
        "high": number(hp.max_value),
        "step": step,
        "sampling": hp.sampling,
        "values": tuple(number(value) for value in hp.values) if listed else (),
        "default": hp.default,
    }


def _choice(hp: kinds.Choice) -> dict[str, Any]:
    return {
        "kind": "choice",
        "values": tuple(dict.fromkeys(hp.values)),
        "default": hp.default,
        "ordered": bool(hp.ordered),
    }


def _boolean(hp: kinds.Boolean) -> dict[str, Any]:
    return {"kind": "boolean", "values": (False, True), "default": bool(hp.default)}


def _fixed(hp: kinds.Fixed) -> dict[str, Any]:
    return {"kind": "fixed", "values": (hp.value,), "default": hp.value}


_DESCRIBE: dict[Any, Callable[[Any], dict[str, Any]]] = {
    kinds.Int: _int,
    kinds.Float: _float,
    kinds.Choice: _choice,
    kinds.Boolean: _boolean,
    kinds.Fixed: _fixed,
}
