"""Assembles networks on vectorized texts. Of Keras's own layers and operations only: a saved model loads anywhere.

Padding is excluded explicitly, by ``present``, (batch, length): not every layer hands on an implicit mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from search_spaces.base import Target
from search_spaces.targets import output_layers, outputs_of, predictions
from search_spaces.texts.config import Convolution, Recurrent, Sequence, TextConfig, Transformer
from search_spaces.texts.vectorization import side_by_side, vocabulary_size

# Below what any feature is, and within float16.
_LOWEST = -1e4
# The table of a linear model's weights.
SOLVED = "solved"


def assemble(config: TextConfig, vectorizer: keras.Model, target: Target) -> keras.Model:
    """An uncompiled network from what ``vectorizer`` gives to what ``output_layers`` gives."""
    size = vocabulary_size(vectorizer)
    if config.bag is None:
        assert config.sequence is not None
        ids = layers.Input(vectorizer.output_shape[1:], dtype="int32", name="vectors")
        return keras.Model(
            ids, output_layers(target, _sequence(ids, config, config.sequence, size)), name=config.family
        )
    given = {
        name: layers.Input(each.shape[1:], dtype=each.dtype, name=name) for name, each in vectorizer.output.items()
    }
    if not config.bag.units:
        return keras.Model(given, predictions(target, _linear(given, size, outputs_of(target))), name=config.family)
    first, *others = config.bag.units
    x = layers.Activation("relu")(_summed(given, layers.Embedding(size + 1, first)))
    x = layers.Dropout(config.dropout)(x)
    for units in others:
        x = layers.Dropout(config.dropout)(layers.Dense(units, activation="relu")(x))
    return keras.Model(given, output_layers(target, x), name=config.family)


def _linear(given: dict[str, Any], size: int, outputs: int) -> Any:
    """Scores, (batch, outputs), whose weights are solved rather than trained."""
    table = layers.Embedding(size + 1, outputs, "zeros", trainable=False, dtype="float32", name=SOLVED)
    return _summed(given, table)


def _summed(given: dict[str, Any], table: Any) -> Any:
    """What a dense layer makes of all tokens' numbers, of which most are 0: rows of a table, and a bias in its last."""
    last = table.input_dim - 1
    tokens = ops.pad(given["tokens"], [[0, 0], [0, 1]], constant_values=last)
    weights = ops.pad(given["weights"], [[0, 0], [0, 1]], constant_values=1.0)
    rows = table(tokens)
    return ops.squeeze(ops.matmul(ops.expand_dims(ops.cast(weights, rows.dtype), 1), rows), 1)


def _sequence(ids: Any, config: TextConfig, sequence: Sequence, vocabulary: int) -> Any:
    present = ops.not_equal(ids, 0)
    x = layers.Embedding(vocabulary, sequence.embedding)(ids)
    if isinstance(config.body, Transformer):
        # Counting along the text: the positions are part of the model, whatever the batch.
        positions = ops.subtract(ops.cumsum(ops.ones_like(ids), axis=1), 1)
        x = layers.Add()([x, layers.Embedding(ids.shape[1], sequence.embedding)(positions)])
    if sequence.embedding_dropout:
        x = layers.SpatialDropout1D(sequence.embedding_dropout)(x)
    if config.body:
        x = _BODIES[type(config.body)](x, present, config.body, config.dropout)
    x = _pool(x, present, sequence.pooling)
    if sequence.units:
        x = layers.Dense(sequence.units, activation="relu")(x)
    return layers.Dropout(config.dropout)(x)


def _convolve(x: Any, present: Any, body: Convolution, dropout: float) -> Any:
    for _ in range(body.blocks):
        shortcut = x
        x = layers.Conv1D(body.filters, body.kernel_size, padding="same", activation="relu")(_masked(x, present))
        if shortcut.shape[-1] == body.filters:
            x = layers.Add()([shortcut, x])
    return x


def _recur(x: Any, present: Any, body: Recurrent, dropout: float) -> Any:
    cell = layers.LSTM if body.cell == "lstm" else layers.GRU
    for _ in range(body.layers):
        layer = cell(body.units, return_sequences=True)
        x = (layers.Bidirectional(layer) if body.bidirectional else layer)(x, mask=present)
    return x


def _encode(x: Any, present: Any, body: Transformer, dropout: float) -> Any:
    width = x.shape[-1]
    seen = ops.expand_dims(present, 1)
    for _ in range(body.layers):
        within = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(body.heads, width // body.heads, dropout=min(dropout, 0.1))
        x = layers.Add()([x, attention(within, within, attention_mask=seen)])
        within = layers.LayerNormalization()(x)
        within = layers.Dense(body.expansion * width, activation="gelu")(within)
        x = layers.Add()([x, layers.Dense(width)(within)])
    return layers.LayerNormalization()(x)


def _masked(x: Any, present: Any) -> Any:
    return ops.multiply(x, ops.cast(ops.expand_dims(present, -1), x.dtype))


def _pool(x: Any, present: Any, pooling: str) -> Any:
    pooled = []
    if pooling in ("average", "both"):
        tokens = ops.sum(ops.cast(present, x.dtype), axis=1, keepdims=True)
        pooled.append(ops.divide(ops.sum(_masked(x, present), axis=1), tokens))
    if pooling in ("maximum", "both"):
        pooled.append(ops.max(ops.where(ops.expand_dims(present, -1), x, _LOWEST), axis=1))
    return side_by_side(pooled)


_BODIES: dict[type, Callable[[Any, Any, Any, float], Any]] = {
    Convolution: _convolve,
    Recurrent: _recur,
    Transformer: _encode,
}
