"""Finds the search space that a spec names and gives it what it needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras_tuner

from search_spaces.base import DataSummary, SearchSpace
from tuner.errors import SpaceError
from tuner.processes.user_code import find_object
from tuner.spec.search_spec import SearchSpec

_BUILT_IN = {
    "image": "search_spaces.image:ImageSpace",
    "text": "search_spaces.text:TextSpace",
    "structured": "search_spaces.structured:StructuredSpace",
}


class _BuildFunction(keras_tuner.HyperModel):
    """Whatever can be called with ``hp`` as a hypermodel, as KerasTuner takes it too."""

    def __init__(self, function: Callable[[keras_tuner.HyperParameters], Any]) -> None:
        super().__init__()
        self._function = function

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        return self._function(hp)


def load_space(spec: SearchSpec, data: DataSummary) -> keras_tuner.HyperModel:
    """The hypermodel that ``spec.space`` names.

    Raises:
        SpaceError: the module or class cannot be found or constructed.
    """
    name, options = spec.space.name, spec.space.options
    found = find_object(_BUILT_IN.get(name, name), "space", SpaceError)
    try:
        return _construct(found, name, spec, data, options)
    except (TypeError, ValueError) as error:
        raise SpaceError(f"space {name} with options {options} cannot be constructed: {error}") from error


def _construct(
    found: Any, name: str, spec: SearchSpec, data: DataSummary, options: dict[str, Any]
) -> keras_tuner.HyperModel:
    if inspect.isclass(found) and issubclass(found, SearchSpace):
        training = spec.training
        return found(data, epochs=training.epochs, batch_size=training.batch_size, **options)
    if inspect.isclass(found) and issubclass(found, keras_tuner.HyperModel):
        return found(**options)
    if isinstance(found, keras_tuner.HyperModel):
        return found
    if callable(found) and not inspect.isclass(found):
        return _BuildFunction(found)
    raise SpaceError(f"space {name}: {found!r} is neither a keras_tuner.HyperModel nor a function of hp")
