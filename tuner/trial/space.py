"""Finds the search space that a spec names and gives it what it needs."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from search_spaces.base import DataSummary, SearchSpace
from tuner.errors import SpaceError
from tuner.processes.user_code import find_object
from tuner.spec.search_spec import SearchSpec
from tuner.trial.space_options import as_taken_by

_BUILT_IN = {
    "image": "search_spaces.image:ImageSpace",
    "text": "search_spaces.text:TextSpace",
    "structured": "search_spaces.structured:StructuredSpace",
}


_LOSSES = ("loss", "val_loss")


class BuildFunction(keras_tuner.HyperModel):
    """Whatever can be called with ``hp`` as a hypermodel, as KerasTuner takes it too."""

    def __init__(self, function: Callable[[keras_tuner.HyperParameters], Any]) -> None:
        super().__init__()
        self._function = function

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        return self._function(hp)


def load_space(spec: SearchSpec, data: DataSummary) -> keras_tuner.HyperModel:
    """The hypermodel that ``spec.space`` names.

    Options are arguments of the class's constructor, of the class whose method is named, or of the function beside hp.

    Raises:
        SpaceError: the module, class or function cannot be found, or does not take the options.
    """
    name, options = spec.space.name, spec.space.options
    found = find_object(_BUILT_IN.get(name, name), "space", SpaceError)
    try:
        method_of = _class_of_method(name)
        if method_of is not None:
            maker = method_of(**as_taken_by(method_of, options))
            return BuildFunction(getattr(maker, name.rpartition(".")[2]))
        return _construct(found, name, spec, data, options)
    except (TypeError, ValueError) as error:
        raise SpaceError(f"space {name} with options {options} cannot be constructed: {error}") from error


def _class_of_method(name: str) -> type | None:
    """The class whose method a name is, if it takes an instance of it as its first argument."""
    owner_name, dot, method = name.rpartition(".")
    if not dot or ":" not in owner_name:
        return None
    owner = find_object(owner_name, "space", SpaceError)
    is_method = inspect.isclass(owner) and isinstance(inspect.getattr_static(owner, method), types.FunctionType)
    return owner if is_method else None


def _construct(
    found: Any, name: str, spec: SearchSpec, data: DataSummary, options: dict[str, Any]
) -> keras_tuner.HyperModel:
    if inspect.isclass(found) and issubclass(found, SearchSpace):
        training = spec.training
        space = found(data, epochs=training.epochs, batch_size=training.batch_size, **as_taken_by(found, options))
        space.judged_by_loss = any(each.metric in _LOSSES for each in spec.objectives)
        return space
    if inspect.isclass(found) and issubclass(found, keras_tuner.HyperModel):
        return found(**as_taken_by(found, options))
    if isinstance(found, keras_tuner.HyperModel):
        if options:
            raise SpaceError(f"space {name}: it is constructed already and takes no options; name its class")
        return found
    # A model that is constructed with hp is a function of it.
    if callable(found) and (not inspect.isclass(found) or issubclass(found, keras.Model)):
        return BuildFunction(_with_options(found, options))
    if isinstance(found, type) and any("__call__" in vars(each) for each in found.__mro__):
        return BuildFunction(found(**as_taken_by(found, options)))
    raise SpaceError(f"space {name}: {found!r} is neither a keras_tuner.HyperModel nor a function of hp")


def _with_options(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    if not options:
        return function
    given = as_taken_by(function, options)
    inspect.signature(function).bind(None, **given)
    return functools.partial(function, **given)
