"""Has a model compute the same with other operations, while it is traced for a runtime that lacks its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

# What is set on an operation, such as another ``call``.
Attributes = dict[str, Any]
Kinds = Sequence[tuple[type, Callable[[Any], Attributes]]]


@contextmanager
def exchanged(model: keras.Model, kinds: Kinds) -> Iterator[list[Any]]:
    """Inside it, the model's operations of these kinds have other attributes; what is in 16 bits is computed in 32.

    Args:
        kinds: what is set on each operation of a class, which gets that of every entry that it is an instance of.

    Yields:
        The operations; the model is left as it was.
    """
    found = list(_operations(model))
    not_called: set[int] = set()
    with ExitStack() as stack:
        for each in found:
            if id(each) in not_called:
                continue
            for kind, make in kinds:
                if isinstance(each, kind):
                    attributes = make(each)
                    stack.enter_context(_having(each, **attributes))
                    if "call" in attributes:
                        not_called |= {id(inner) for inner in _inside(each)}
            if _is_mixed(each):
                stack.enter_context(_having(each, dtype_policy=keras.DTypePolicy("float32")))
        yield found


def _operations(model: keras.Model) -> Iterator[Any]:
    """Every layer, and every operation that is none, such as a sum of two tensors, once."""
    seen: set[int] = set()
    for layer in model._flatten_layers():
        for each in (layer, *getattr(layer, "operations", ())):
            if id(each) not in seen:
                seen.add(id(each))
                yield each


def _inside(operation: Any) -> Iterator[Any]:
    """The layers that a layer is made of."""
    if isinstance(operation, keras.Layer):
        yield from operation._flatten_layers(include_self=False)


@contextmanager
def _having(operation: Any, **attributes: Any) -> Iterator[None]:
    own = {name: getattr(operation, name) for name in attributes}
    methods = {name for name in own if name not in vars(operation) and callable(own[name])}
    try:
        for name, value in attributes.items():
            setattr(operation, name, value)
        yield
    finally:
        for name, value in own.items():
            if name in methods:
                # The class's own one shows again.
                vars(operation).pop(name, None)
            else:
                setattr(operation, name, value)


def _is_mixed(operation: Any) -> bool:
    """Whether it computes in 16 bits with variables of 32; most runtimes compute in 32."""
    policy = getattr(operation, "dtype_policy", None)
    return isinstance(policy, keras.DTypePolicy) and policy.variable_dtype == "float32" != policy.compute_dtype
