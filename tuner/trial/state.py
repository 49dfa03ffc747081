"""What training changes of a model: its variables and those of every optimizer it has, kept by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class OptimizerState:
    """An optimizer that has been used.

    Attributes:
        built_for: the variables that it trains, as positions among the model's.
        variables: its own.
    """

    built_for: tuple[int, ...]
    variables: list[np.ndarray]


@dataclass(frozen=True)
class ModelState:
    """A model at one moment, in host memory.

    Attributes:
        variables: of the model, SeedGenerators included, in the order that building it again repeats.
        optimizers: one for each of ``optimizers_of``; None for one that has trained nothing yet.
    """

    variables: list[np.ndarray]
    optimizers: tuple[OptimizerState | None, ...] = ()


def optimizers_of(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Every optimizer that is an attribute of the model or of a layer in it, or in a list, tuple or dict that is one.

    A GAN has two and leaves the one of ``compile`` unused.
    """
    found: dict[int, keras.optimizers.Optimizer] = {}
    for layer in model._flatten_layers():
        for value in vars(layer).values():
            found |= {id(each): each for each in _optimizers_in(value)}
    return list(found.values())


def _optimizers_in(value: Any) -> Iterator[keras.optimizers.Optimizer]:
    if isinstance(value, keras.optimizers.Optimizer):
        yield value
    elif isinstance(value, Mapping):
        yield from _optimizers_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _optimizers_in(each)


def state_of(model: keras.Model) -> ModelState:
    variables = model.variables
    positions = {id(variable): index for index, variable in enumerate(variables)}
    return ModelState(
        variables=values_of(variables),
        optimizers=tuple(_optimizer_state(optimizer, positions) for optimizer in optimizers_of(model)),
    )


def _optimizer_state(optimizer: keras.optimizers.Optimizer, positions: Mapping[int, int]) -> OptimizerState | None:
    if not optimizer.built:
        return None
    built_for = [positions.get(id(variable)) for variable in optimizer._trainable_variables]
    known = tuple(position for position in built_for if position is not None)
    # What is not the model's own is not kept with it, so its optimizer has nothing to go on from.
    return OptimizerState(known, values_of(optimizer.variables)) if len(known) == len(built_for) else None


def restore(model: keras.Model, state: ModelState) -> None:
    """Raises ValueError where the model is not the one that the state was taken of."""
    assign(model.variables, state.variables)
    optimizers = optimizers_of(model)
    if len(optimizers) != len(state.optimizers):
        raise ValueError(f"the checkpoint has {len(state.optimizers)} optimizers, the model {len(optimizers)}")
    with model.distribute_strategy.scope():
        for optimizer, known in zip(optimizers, state.optimizers, strict=True):
            if known is not None:
                if not optimizer.built:
                    optimizer.build([model.variables[position] for position in known.built_for])
                assign(optimizer.variables, known.variables)


def values_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Copies: TensorFlow makes one by itself, in half the time that Keras's conversion takes."""
    return [np.asarray(variable.value.numpy()) for variable in variables]


def assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Raises ValueError where the model is not the one that the values came from."""
    if len(variables) != len(values):
        raise ValueError(f"the checkpoint has {len(values)} variables, the model {len(variables)}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
