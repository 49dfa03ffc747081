"""Marks in a TensorFlow graph where a function of ONNX belongs, and puts it there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import onnx
import tensorflow as tf

from tuner.champion.formats.onnx.functions import DOMAIN

# From the name of a function to it and those that it calls.
Make = Callable[[str], list[onnx.FunctionProto]]

_MARK = re.compile(r"OnnxFunction(\d+)Here")
_made: ContextVar[list[list[onnx.FunctionProto]]] = ContextVar("made")


@contextmanager
def placeholders() -> Iterator[list[list[onnx.FunctionProto]]]:
    """Inside it ``placeholder`` may be called; it gives the functions that were asked for."""
    found: list[list[onnx.FunctionProto]] = []
    token = _made.set(found)
    try:
        yield found
    finally:
        _made.reset(token)


def placeholder(make: Make, inputs: Sequence[tf.Tensor], dtype: tf.DType, shape: tuple[int | None, ...]) -> tf.Tensor:
    """A tensor that only the ONNX file computes."""
    found = _made.get()
    name = f"OnnxFunction{len(found)}Here"
    found.append(make(name))
    given = tf.numpy_function(_not_in_tensorflow, inputs, dtype, name=name)
    # Of set_shape nothing would be left in the graph that the converter reads.
    return tf.ensure_shape(given, shape)


def put_function(context: Any, node: Any, name: str, args: Any) -> None:
    """tf2onnx's handler of ``PyFunc``: the node becomes a call of its function."""
    marked = _MARK.search(node.name)
    if marked is None:
        raise NotImplementedError(f"a Python function in {node.name}")
    outputs = list(node.output)
    shapes, dtypes = [context.get_shape(each) for each in outputs], [context.get_dtype(each) for each in outputs]
    inputs = list(node.input)
    context.remove_node(node.name)
    context.make_node(
        marked.group(), inputs, outputs=outputs, name=node.name, domain=DOMAIN, shapes=shapes, dtypes=dtypes
    )


def _not_in_tensorflow(*values: Any) -> NoReturn:
    raise NotImplementedError("only the ONNX file computes this")
