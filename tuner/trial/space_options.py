"""Options of a spec as the function or constructor that gets them means them: YAML has no tuples."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin

_KEEPS_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


def as_taken_by(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with tuples in place of lists where ``function`` says that it takes tuples.

    It says so by an annotation or, without one, by a default. Without either, what is called a shape is a tuple, as it
    is everywhere in Keras and NumPy.
    """
    parameters, annotated = _parameters(function), _annotations(function)
    return {name: _as_hinted(value, _hint(name, parameters.get(name), annotated)) for name, value in options.items()}


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    documented = function.__init__ if inspect.isclass(function) else function  # type: ignore[misc]
    try:
        return typing.get_type_hints(documented)
    except (AttributeError, NameError, TypeError, SyntaxError):
        # They may name what is imported for a type checker alone.
        return {}


def _hint(name: str, parameter: inspect.Parameter | None, annotated: Mapping[str, Any]) -> Any:
    if name in annotated:
        return annotated[name]
    default = None if parameter is None else parameter.default
    if isinstance(default, list | tuple):
        return _hint_of(default)
    return tuple if name.endswith("shape") else Any


def _hint_of(default: Any) -> Any:
    if isinstance(default, tuple):
        return types.GenericAlias(tuple, tuple(map(_hint_of, default))) if default else tuple
    return type(default)


def _as_hinted(value: Any, hint: Any) -> Any:
    alternatives = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    inside = {get_origin(each) or each: _items_of(each) for each in alternatives}
    kept = next((items for kind, items in inside.items() if kind in _KEEPS_LISTS), None)
    items = kept or inside.get(tuple)
    if not isinstance(value, list) or items is None:
        return value
    as_meant = [_as_hinted(each, items[min(place, len(items) - 1)]) for place, each in enumerate(value)]
    return as_meant if kept else tuple(as_meant)


def _items_of(hint: Any) -> list[Any]:
    return [each for each in get_args(hint) if each is not ...] or [Any]
