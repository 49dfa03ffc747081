"""The grid of a search space, as Optuna's GridSampler takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.hyperparameters.declared import Declared
from tuner.hyperparameters.encoding import encoding_of
from tuner.hyperparameters.steps import even_steps

_MOST_VALUES = 1000


def grid(
    declared: Sequence[Declared], given: Mapping[str, Sequence[Any]] = MappingProxyType({})
) -> dict[str, list[Any]]:
    """The values of every parameter that a sampler is asked for, by its name in Optuna.

    Optuna's GridSampler takes the product of all of them, those of inactive hyperparameters
    included: a conditional space is tried with repetitions, which the brute-force sampler avoids.

    Args:
        declared: a whole space, as ``explore`` lists it.
        given: the values to try of some hyperparameters, by Optuna's or KerasTuner's name.

    Raises:
        ValueError: a hyperparameter has too many values, or a given value is not allowed.
    """
    found = {}
    for each in declared:
        if each.kind == "fixed":
            continue
        encoding = encoding_of(each)
        chosen = given.get(each.optuna_name, given.get(each.name))
        codes = _all(each, encoding.distribution) if chosen is None else _encoded(each, chosen)
        found[each.optuna_name + encoding.suffix] = codes
    return found


def _encoded(declared: Declared, values: Sequence[Any]) -> list[Any]:
    encoding = encoding_of(declared)
    try:
        return [encoding.encode(encoding.coerce(value)) for value in values]
    except ValueError as error:
        raise ValueError(f"search_space of the grid: {declared.name} takes {error}") from None


def _all(declared: Declared, distribution: Any) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if distribution.single():
        return [distribution.low]
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        raise _too_many(declared, "is continuous")
    count = round((distribution.high - distribution.low) / distribution.step) + 1
    if count > _MOST_VALUES:
        raise _too_many(declared, f"has {count} values")
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    return even_steps(distribution.low, distribution.high, distribution.step)


def _too_many(declared: Declared, reason: str) -> ValueError:
    return ValueError(
        f"the grid sampler cannot try every value of {declared.name}, which {reason}: "
        "give it a step, make it a Choice, or list its values: "
        f"sampler: {{name: grid, search_space: {{{declared.name}: [...]}}}}"
    )
