"""What ONNX's converter does not know, as ONNX functions, while a model is traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from search_spaces.text_standardization import UnicodeStandardization
from tuner.champion.formats.coded_layers import (
    ALTERNATIVE,
    UNKNOWN,
    check_lookup,
    coded_kinds,
    codes_of,
    discretization,
    first_unknown,
    lookup,
    mask_code,
    with_unknown,
)
from tuner.champion.formats.exchanging import Attributes, Kinds, exchanged
from tuner.champion.formats.onnx.character_changes import LOWER, STRIP, character_changes
from tuner.champion.formats.onnx.functions import (
    Lookup,
    Tokens,
    alphabet,
    bag_function,
    lookup_function,
    sequence_function,
    text_functions,
)
from tuner.champion.formats.onnx.placeholders import placeholder
from tuner.champion.formats.refusal import FormatRefused

_RUNTIME = "ONNX"
# Each is an operation of its own on every text.
_MOST = 1000
_STANDARDIZED = (None, LOWER, STRIP, f"{LOWER}_and_{STRIP}")


@contextmanager
def onnx_ops(model: keras.Model) -> Iterator[None]:
    """Inside it, and inside ``placeholders``, the model computes the same with operations that ONNX has.

    Raises:
        FormatRefused: a layer has no such operations.
    """
    with exchanged(model, _KINDS):
        yield


def _string_lookup(layer: Any) -> Attributes:
    check_lookup(layer, _RUNTIME)
    table = _table(layer, first_unknown(layer))
    return lookup(layer, lambda x: _found(table, x))


def _integer_lookup(layer: Any) -> Attributes:
    check_lookup(layer, _RUNTIME)
    table = _table(layer, UNKNOWN)
    return lookup(layer, lambda x: with_unknown(layer, _found(table, x), x))


def _table(layer: Any, unknown: int) -> Lookup:
    vocabulary, codes = codes_of(layer)
    keys = [str(each) if isinstance(each, str) else int(each) for each in vocabulary]
    masks = [] if layer.mask_token is None else [layer.mask_token]
    return Lookup((*masks, *keys), (*(mask_code(layer) for _ in masks), *codes.tolist()), unknown)


def _found(table: Lookup, x: tf.Tensor) -> tf.Tensor:
    return placeholder(lambda name: [lookup_function(name, table)], [x], tf.int64, tuple(x.shape))


def _tokenizing(layer: Any) -> Attributes:
    _check_tokens(layer)
    table = _table(layer._lookup_layer, first_unknown(layer._lookup_layer))
    changes, removed = character_changes(layer._standardize, {letter for key in table.keys for letter in str(key)})
    tokens = Tokens(changes, removed, layer._split == "character", table)
    call = _sequences(layer, tokens) if layer._output_mode == "int" else _bags(layer, tokens)
    return {"call": lambda inputs: call(_one_text_each(inputs))}


def _check_tokens(layer: Any) -> None:
    """Raises FormatRefused: how a layer makes tokens cannot be computed by standard operations, and exactly so."""
    standardize, split = layer._standardize, layer._split
    own = isinstance(standardize, UnicodeStandardization)
    if own and standardize.divide:
        raise FormatRefused(
            f"the layer {layer.name} divides texts into characters where a script has no blanks between words, and "
            "ONNX has no operation for that",
            ALTERNATIVE,
        )
    if (callable(standardize) and not own) or callable(split) or (not own and standardize not in _STANDARDIZED):
        raise FormatRefused(f"the layer {layer.name} standardises or splits texts with code of its own", ALTERNATIVE)
    if split is None:
        raise FormatRefused(f"the layer {layer.name} takes texts that are split already", ALTERNATIVE)
    if split == "character" and (layer._output_mode == "int" or len(alphabet(_table(layer._lookup_layer, 0))) > _MOST):
        raise FormatRefused(
            f"the layer {layer.name} splits texts into characters, which ONNX can count, up to {_MOST} different ones, "
            "but not put in order",
            ALTERNATIVE,
        )
    lookup_layer = layer._lookup_layer
    if lookup_layer.num_oov_indices != 1 or lookup_layer.sparse or layer._ragged:
        raise FormatRefused(f"ONNX has no operations for the output of the layer {layer.name}", ALTERNATIVE)
    grams = layer._ngrams
    if grams is not None and (layer._output_mode == "int" or tuple(grams) != tuple(range(1, len(grams) + 1))):
        raise FormatRefused(f"the layer {layer.name} has n-grams whose order ONNX cannot be given", ALTERNATIVE)


def _one_text_each(inputs: Any) -> tf.Tensor:
    texts = tf.convert_to_tensor(inputs)
    return tf.squeeze(texts, -1) if len(texts.shape) > 1 else texts


def _sequences(layer: Any, tokens: Tokens) -> Any:
    length = layer._output_sequence_length

    def call(texts: tf.Tensor) -> tf.Tensor:
        return placeholder(
            lambda name: [*text_functions(tokens), sequence_function(name, tokens, length)],
            [texts],
            tf.int64,
            (texts.shape[0], length),
        )

    return call


def _bags(layer: Any, tokens: Tokens) -> Any:
    mode, within = layer._output_mode, layer._lookup_layer
    size = within.max_tokens if within.pad_to_max_tokens else within.vocabulary_size()
    weights = np.asarray(within.idf_weights, np.float32)[:size] if mode == "tf_idf" else None
    if weights is not None and len(weights) < size:
        weights = np.pad(weights, (0, size - len(weights)))
    most = 1.0 if mode == "multi_hot" else None
    # What Keras makes of the numbers depends on the mode and the layer's own dtype.
    dtype = layer(tf.constant(["a"])).dtype
    grams = len(layer._ngrams or (1,))

    def call(texts: tf.Tensor) -> tf.Tensor:
        bag = placeholder(
            lambda name: [*text_functions(tokens), bag_function(name, tokens, grams, size, weights, most)],
            [texts],
            tf.float32,
            (texts.shape[0], size),
        )
        return tf.cast(bag, dtype)

    return call


_KINDS: Kinds = [
    *coded_kinds(_RUNTIME),
    (keras.layers.TextVectorization, _tokenizing),
    (keras.layers.StringLookup, _string_lookup),
    (keras.layers.IntegerLookup, _integer_lookup),
    (keras.layers.Discretization, discretization),
]
