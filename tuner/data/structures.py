"""How tensors are arranged in what a model is given: alone, in a tuple or dict, or in tuples and dicts of those.

A structure is described by a text: ``single``, ``tuple`` or ``dict``; where tuples and dicts are nested, JSON in which
a number stands for the leaf of that place, such as ``{"a": 0, "b": [1, 2]}``. Leaves have names: none alone, keys,
places from 0, or the way to them, such as ``b/1``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from tuner.errors import DataError

SINGLE, TUPLE, DICT = "single", "tuple", "dict"


def is_nested(part: Any) -> bool:
    """Whether it is a tuple, a dict or a list of arrays, as Keras sees it; a list of plain values is an array."""
    if isinstance(part, Mapping | tuple):
        return True
    # NumPy's single values have a shape too, an empty one.
    return isinstance(part, list) and any(
        isinstance(each, Mapping | tuple) or len(getattr(each, "shape", ())) > 0 for each in part
    )


def leaves(part: Any) -> list[Any]:
    """The arrays of x, y or the weights, in order; none of None."""
    return [leaf for _, leaf in _walked(part)] if part is not None else []


def mapped(part: Any, function: Callable[[Any], Any]) -> Any:
    """Applies a function to every array; None stays. Lists of arrays become tuples, as Keras makes them."""
    if part is None:
        return None
    if not is_nested(part):
        return function(part)
    if isinstance(part, Mapping):
        return {str(name): mapped(each, function) for name, each in part.items()}
    return tuple(mapped(each, function) for each in part)


def structure_of(part: Any) -> tuple[str, tuple[str, ...]]:
    """The structure of x, y or the weights, and its leaves' names; none of None.

    Raises:
        DataError: None is in it.
    """
    if part is None:
        return SINGLE, ()
    if not is_nested(part):
        return SINGLE, ("",)
    names = tuple(name for name, _ in _walked(part))
    inner = part.values() if isinstance(part, Mapping) else part
    if _holds_none(part):
        raise DataError("a tuple or dict of arrays contains None; every entry must be an array")
    if any(is_nested(each) for each in inner):
        places = count()
        return json.dumps(mapped(part, lambda _: next(places))), names
    return (DICT if isinstance(part, Mapping) else TUPLE), names


def in_structure(structure: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    """Values as models take them: the only one, or in tuples and dicts."""
    if structure == SINGLE:
        return values[0]
    if structure == TUPLE:
        return tuple(values)
    if structure == DICT:
        return dict(zip(names, values, strict=True))
    return _placed(json.loads(structure), values)


def repeated(structure: str, names: Sequence[str]) -> str:
    """The structure that has the first leaf in every place, such as one weight for several outputs."""
    whole = in_structure(structure, names, [0] * len(names))
    return json.dumps(whole) if is_nested(whole) else SINGLE


def _placed(described: Any, values: Sequence[Any]) -> Any:
    if isinstance(described, int):
        return values[described]
    if isinstance(described, dict):
        return {name: _placed(each, values) for name, each in described.items()}
    return tuple(_placed(each, values) for each in described)


def _holds_none(part: Any) -> bool:
    if not is_nested(part):
        return part is None
    return any(map(_holds_none, part.values() if isinstance(part, Mapping) else part))


def _walked(part: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not is_nested(part):
        if part is not None:
            yield "/".join(way), part
        return
    inner = part.items() if isinstance(part, Mapping) else enumerate(part)
    for name, each in inner:
        yield from _walked(each, (*way, str(name)))
