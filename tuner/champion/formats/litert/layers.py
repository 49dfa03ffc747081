"""What LiteRT has no ops for, computed with others that it has, while a model is traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import keras
import tensorflow as tf
from keras.src.ops.numpy import Add

from tuner.champion.formats.coded_layers import (
    ALTERNATIVE,
    UNKNOWN,
    check_lookup,
    coded_kinds,
    codes_of,
    lookup,
    mask_code,
    with_unknown,
)
from tuner.champion.formats.exchanging import Attributes, Kinds, exchanged
from tuner.champion.formats.refusal import FormatRefused

_RUNTIME = "LiteRT"
_MOST_STEPS = 200


@contextmanager
def litert_ops(model: keras.Model) -> Iterator[list[Any]]:
    """Inside it, the model computes the same with ops of LiteRT, as far as there are any.

    It gives the lookup tables that the model still needs, and leaves the model as it was. In it, what is computed in
    16 bits (mixed precision) is computed in float32.

    Raises:
        FormatRefused: a layer has no such ops.
    """
    with exchanged(model, _KINDS) as operations:
        yield [each.lookup_table for each in operations if isinstance(each, keras.layers.StringLookup)]


def _tokenizing(layer: Any) -> NoReturn:
    raise FormatRefused(
        f"the layer {layer.name} splits texts into tokens, and LiteRT has no ops for that",
        "use onnx, if it can represent the model, or saved_model",
    )


def _string_lookup(layer: Any) -> Attributes:
    """The same table, whose codes LiteRT has to be told the shape of before it computes with them."""
    check_lookup(layer, _RUNTIME)
    return lookup(layer, lambda x: _masked(layer, tf.reshape(layer.lookup_table.lookup(x), tf.shape(x)), x))


def _integer_lookup(layer: Any) -> Attributes:
    """Comparisons with the vocabulary: LiteRT's tables are of strings."""
    check_lookup(layer, _RUNTIME)
    vocabulary, codes = codes_of(layer)

    def find(x: tf.Tensor) -> tf.Tensor:
        equal = tf.equal(x[..., tf.newaxis], tf.constant(vocabulary, tf.int64))
        return _masked(layer, with_unknown(layer, tf.reduce_max(tf.where(equal, codes, UNKNOWN), axis=-1), x), x)

    return lookup(layer, find)


def _masked(layer: Any, found: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    if layer.mask_token is None:
        return found
    is_mask = tf.equal(x, tf.constant(layer.mask_token, x.dtype))
    return tf.where(is_mask, tf.constant(mask_code(layer), tf.int64), found)


def _sum(operation: Any) -> Attributes:
    """Keras makes some sums of integers an op for biases, which LiteRT has for floats only."""
    own = operation.call

    def call(x1: Any, x2: Any) -> tf.Tensor:
        dtypes = {keras.backend.standardize_dtype(each.dtype) for each in (x1, x2) if hasattr(each, "dtype")}
        return tf.add(x1, x2) if dtypes in ({"int32"}, {"int64"}) else own(x1, x2)

    return {"call": call}


def _recurrent(layer: Any) -> Attributes:
    """Steps one after another: LiteRT has no loop over a batch of any size."""
    steps = [node.input_tensors[0].shape[1] for node in layer._inbound_nodes]
    longest = max((each for each in steps if each), default=0)
    if longest > _MOST_STEPS:
        raise FormatRefused(
            f"the recurrent layer {layer.name} takes {longest} steps, and LiteRT has each as ops of its own: at most "
            f"{_MOST_STEPS} are written",
            ALTERNATIVE,
        )
    # A graph that is traced where there is a GPU would have an op of cuDNN's.
    return {"unroll": True} | ({"use_cudnn": False} if hasattr(layer, "use_cudnn") else {})


_KINDS: Kinds = [
    *coded_kinds(_RUNTIME),
    (keras.layers.TextVectorization, _tokenizing),
    (keras.layers.StringLookup, _string_lookup),
    (keras.layers.IntegerLookup, _integer_lookup),
    (keras.layers.RNN, _recurrent),
    (Add, _sum),
]
