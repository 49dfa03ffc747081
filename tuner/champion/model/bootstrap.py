"""The bootstrap of whatever metric a model was compiled with: its values on resamples of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tuner.champion.model.metrics import Batch

RESAMPLES = 1000
_FEWEST = 200
# Drawn examples for each model and split; more examples need fewer resamples for the same work.
_WORK = 20_000_000
_AT_ONCE = 4_000_000
_SEED = 20


def resamples_of(examples: int) -> int:
    """How many resamples are drawn of a split."""
    return int(np.clip(_WORK // max(examples, 1), _FEWEST, RESAMPLES))


class RowMetric:
    """A compiled metric, or ``loss``, of given outputs on given rows of a split.

    Traced once, it serves every model that is compiled likewise.

    Args:
        batches: of ``metrics.with_outputs``, of any model.
    """

    def __init__(self, model: keras.Model, metric: str, batches: Iterable[Batch]) -> None:
        outputs, targets, weights = _whole(batches)
        self._structure = outputs
        self._examples = len(keras.tree.flatten(outputs)[0])
        self._value = _value(model, metric, outputs, targets, weights)

    def on_all(self, outputs: Sequence[npt.NDArray[Any]]) -> float:
        """Of all examples.

        Args:
            outputs: the leaves of what a model gives, (examples, ...) each.
        """
        return float(self._value(self._packed(outputs), tf.range(self._examples)[None]).numpy()[0])

    def resampled(self, outputs: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """On examples drawn with replacement, the same ones for every model; shape (resamples,)."""
        packed = self._packed(outputs)
        found = [self._value(packed, tf.constant(drawn)).numpy() for drawn in _drawn(self._examples)]
        return np.concatenate(found).astype(np.float64)

    def _packed(self, outputs: Sequence[npt.NDArray[Any]]) -> Any:
        like = keras.tree.flatten(self._structure)
        leaves = [tf.cast(tf.constant(each), known.dtype) for each, known in zip(outputs, like, strict=True)]
        return keras.tree.pack_sequence_as(self._structure, leaves)


def _whole(batches: Iterable[Batch]) -> tuple[Any, Any, Any]:
    """All outputs, targets and weights (or None) of a split."""
    parts: list[tuple[Any, ...]] = [(outputs, targets, weights) for _, outputs, targets, weights in batches]
    return tuple(_joined(list(part)) for part in zip(*parts, strict=True))  # type: ignore[return-value]


def _joined(pieces: list[Any]) -> Any:
    if pieces[0] is None:
        return None
    return keras.tree.map_structure(lambda *each: tf.concat(each, 0), *pieces)


def _drawn(examples: int) -> Iterator[npt.NDArray[np.int32]]:
    """Places of drawn examples, (resamples, examples), a piece at a time."""
    generator, left = np.random.default_rng(_SEED), resamples_of(examples)
    at_once = max(1, _AT_ONCE // max(examples, 1))
    while left:
        count = min(at_once, left)
        yield generator.integers(0, examples, (count, examples), dtype=np.int32)
        left -= count


def _value(model: keras.Model, metric: str, example: Any, targets: Any, weights: Any) -> Any:
    def on(outputs: Any, rows: tf.Tensor) -> tf.Tensor:
        given = [
            None if part is None else keras.tree.map_structure(lambda values: tf.gather(values, rows), part)
            for part in (targets, outputs, weights)
        ]
        y, predicted, weight = given
        model.reset_metrics()
        if metric == "loss":
            return tf.cast(model.compute_loss(y=y, y_pred=predicted, sample_weight=weight, training=False), tf.float32)
        return tf.cast(model.compute_metrics(None, y, predicted, weight)[metric], tf.float32)

    given = keras.tree.map_structure(lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype), example)

    @tf.function(input_signature=[given, tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def each(outputs: Any, drawn: tf.Tensor) -> tf.Tensor:
        # One after the other: they share the metrics' variables.
        return tf.map_fn(lambda rows: on(outputs, rows), drawn, parallel_iterations=1, fn_output_signature=tf.float32)

    return each
