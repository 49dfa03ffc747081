"""The bootstrap of whatever metric a model was compiled with: its values on resamples of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tuner.champion.model.metrics import Batch, adds_losses

RESAMPLES = 1000
_FEWEST = 200
# Drawn examples for each model and split; more examples need fewer resamples for the same work.
_WORK = 20_000_000
_AT_ONCE = 4_000_000
_SEED = 20


def resamples_of(examples: int) -> int:
    """How many resamples are drawn of a split."""
    return int(np.clip(_WORK // max(examples, 1), _FEWEST, RESAMPLES))


def resampled(model: keras.Model, metric: str, batches: Iterable[Batch]) -> npt.NDArray[np.float64] | None:
    """A compiled metric, or ``loss``, on examples drawn with replacement; the same ones for every model.

    Args:
        batches: of ``scoring.with_outputs``.

    Returns:
        shape (resamples,); None for a loss that layers add to while they are called.
    """
    if metric == "loss" and adds_losses(model):
        return None
    outputs, targets, weights = _whole(batches)
    examples = len(keras.tree.flatten(outputs)[0])
    value = _value(model, metric, outputs, targets, weights)
    found = [value(tf.constant(drawn)).numpy() for drawn in _drawn(examples)]
    return np.concatenate(found).astype(np.float64)


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


def _value(model: keras.Model, metric: str, outputs: Any, targets: Any, weights: Any) -> Any:
    def on(rows: tf.Tensor) -> tf.Tensor:
        given = [
            None if part is None else keras.tree.map_structure(lambda values: tf.gather(values, rows), part)
            for part in (targets, outputs, weights)
        ]
        y, predicted, weight = given
        model.reset_metrics()
        if metric == "loss":
            return tf.cast(model.compute_loss(y=y, y_pred=predicted, sample_weight=weight, training=False), tf.float32)
        return tf.cast(model.compute_metrics(None, y, predicted, weight)[metric], tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def each(drawn: tf.Tensor) -> tf.Tensor:
        # One after the other: they share the metrics' variables.
        return tf.map_fn(on, drawn, parallel_iterations=1, fn_output_signature=tf.float32)

    return each
