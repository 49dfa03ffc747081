"""Layers of categories and codes, of operations that every runtime has but for finding a code."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf
from keras.src.layers.preprocessing.index_lookup import IndexLookup
from keras.src.ops.core import Cast

from tuner.champion.formats.exchanging import Attributes, Kinds
from tuner.champion.formats.refusal import FormatRefused

# What stands for the code of an unknown category until it is known.
UNKNOWN = -2
ALTERNATIVE = "use saved_model, which has all of TensorFlow's ops"
# A cross of two columns of codes is a table of all their combinations.
_MOST_COMBINATIONS = 1_000_000


def check_lookup(layer: Any, runtime: str) -> None:
    """Raises FormatRefused: what a lookup layer gives needs an op that ``runtime`` lacks."""
    if layer.invert or layer.sparse or layer.output_mode == "tf_idf":
        raise FormatRefused(f"{runtime} has no ops for the output of the layer {layer.name}", ALTERNATIVE)
    if layer.num_oov_indices == 0:
        raise FormatRefused(
            f"the layer {layer.name} fails on unknown categories, and {runtime} has no op for that", ALTERNATIVE
        )
    hashes = isinstance(layer, keras.layers.StringLookup) or layer.oov_method == "farmhash"
    if layer.num_oov_indices > 1 and hashes:
        raise FormatRefused(
            f"the layer {layer.name} spreads unknown categories over {layer.num_oov_indices} codes by their hash, and "
            f"{runtime} has no op for that",
            ALTERNATIVE,
        )


def first_unknown(layer: Any) -> int:
    """The code of unknown categories, the first of them."""
    return int(layer._oov_start_index())


def mask_code(layer: Any) -> int:
    """The code of the category that is a mask; where codes become vectors it has a vector of zeros."""
    return 0 if layer.output_mode == "int" else -1


def codes_of(layer: Any) -> tuple[list[Any], np.ndarray[Any, np.dtype[np.int64]]]:
    """The categories that a lookup layer knows, and their codes."""
    vocabulary = list(layer.get_vocabulary(include_special_tokens=False))
    size = layer.vocabulary_size()
    return vocabulary, np.arange(size - len(vocabulary), size, dtype=np.int64)


def with_unknown(layer: Any, found: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Codes of integers, with ``UNKNOWN`` for unknown ones, as the layer spreads those."""
    count = layer.num_oov_indices
    # Twice: not every runtime's remainder of a negative number is positive.
    spread = tf.math.floormod(tf.math.floormod(x, count) + count, count)
    return tf.where(tf.equal(found, UNKNOWN), first_unknown(layer) + spread, found)


def lookup(layer: Any, find: Callable[[tf.Tensor], tf.Tensor]) -> Attributes:
    """A lookup layer that finds codes, int64, otherwise: of unknown categories and of the one that is a mask too."""
    dtype = tf.as_dtype(layer.vocabulary_dtype)
    depth = layer.max_tokens if layer.pad_to_max_tokens else layer.vocabulary_size()
    gives = layer(tf.zeros((1, 1), dtype)).dtype

    def call(inputs: Any) -> tf.Tensor:
        x = tf.convert_to_tensor(inputs)
        found = find(x if x.dtype == dtype else tf.cast(x, dtype))
        return _encoded(found, layer.output_mode, depth, gives)

    return {"call": call}


def discretization(layer: Any) -> Attributes:
    """``Discretization`` without the op that finds a bin: the boundaries that are not above a number are counted."""
    own = layer.call

    def call(inputs: Any) -> Any:
        if layer.sparse:
            return own(inputs)
        boundaries = tf.constant(layer.bin_boundaries, tf.float32)
        # Not ">=": a number that is missing is in the last bin.
        reached = tf.logical_not(tf.cast(inputs, tf.float32)[..., tf.newaxis] < boundaries)
        bins = tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)
        dtype = "int32" if layer.output_mode == "int" else layer.dtype
        return _encoded(bins, layer.output_mode, len(layer.bin_boundaries) + 1, dtype)

    return {"call": call}


def coded_kinds(runtime: str) -> Kinds:
    """The layers that are the same for every runtime, which is named where one is refused."""
    return [
        (keras.layers.Hashing, partial(_hashing, runtime)),
        (keras.layers.CategoryEncoding, _category_encoding),
        (keras.layers.HashedCrossing, partial(_hashed_crossing, runtime)),
    ]


def _hashing(runtime: str, layer: Any) -> NoReturn:
    raise FormatRefused(f"the layer {layer.name} hashes values, and {runtime} has no op for that", ALTERNATIVE)


def _category_encoding(layer: Any) -> Attributes:
    """``CategoryEncoding`` without the op that counts."""
    own = layer.call

    def call(inputs: Any, count_weights: Any = None) -> tf.Tensor:
        if count_weights is not None or layer.sparse or len(inputs.shape) > 2:
            return own(inputs, count_weights)
        return _encoded(inputs, layer.output_mode, layer.num_tokens, layer.dtype)

    return {"call": call}


def _encoded(codes: tf.Tensor, mode: str, depth: int, dtype: str) -> tf.Tensor:
    """What Keras's layers of categories give, without the op that counts."""
    if mode == "int":
        return tf.cast(codes, dtype)
    if mode == "one_hot" and len(codes.shape) > 1 and codes.shape[-1] == 1:
        codes = tf.squeeze(codes, -1)
    # Not tf.one_hot: ONNX counts negative codes from the end. Keras hands integers of int32 to a layer as float32 where
    # that is what it computes in.
    ones = tf.cast(tf.equal(tf.cast(codes, tf.int32)[..., tf.newaxis], tf.range(depth)), dtype)
    if mode == "one_hot" or len(codes.shape) == 0:
        return ones
    return tf.reduce_max(ones, axis=-2) if mode == "multi_hot" else tf.reduce_sum(ones, axis=-2)


def _hashed_crossing(runtime: str, layer: Any) -> Attributes:
    """``HashedCrossing`` of codes: a table of all their combinations."""
    sizes = _code_counts(layer)
    if sizes is None or math.prod(sizes) > _MOST_COMBINATIONS or layer.output_mode != "int":
        _hashing(runtime, layer)
    combinations = [each.ravel() for each in np.meshgrid(*map(np.arange, sizes), indexing="ij")]
    crossed = layer(tuple(tf.constant(each, tf.int64) for each in combinations)).numpy().astype(np.int32)

    def call(inputs: Sequence[Any]) -> tf.Tensor:
        place = tf.cast(inputs[0], tf.int32)
        for codes, size in zip(inputs[1:], sizes[1:], strict=True):
            place = place * size + tf.cast(codes, tf.int32)
        return tf.cast(tf.gather(crossed, place), layer.dtype)

    return {"call": call}


def _code_counts(layer: Any) -> list[int] | None:
    """How many codes each column of a cross has; None where they are not known to be codes from 0."""
    nodes = layer._inbound_nodes
    if len(nodes) != 1:
        return None
    counts = [_codes_in(tensor) for tensor in nodes[0].input_tensors]
    return None if None in counts else [each for each in counts if each is not None]


def _codes_in(tensor: Any) -> int | None:
    history = tensor._keras_history
    if isinstance(history.operation, Cast):
        return _codes_in(history.operation._inbound_nodes[history.node_index].input_tensors[0])
    lookup = history.operation
    if isinstance(lookup, IndexLookup) and lookup.output_mode == "int" and not lookup.invert:
        return int(lookup.vocabulary_size())
    return None
