"""Training by ``model.fit`` of networks that no gradients train: each epoch takes a step of another procedure."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

# A few training examples are enough to see how well they are known.
_WATCHED_BATCHES = 1


class _Stepping(keras.callbacks.Callback):
    """Takes a step at the beginning of each epoch, and ends the training after the last one.

    A training that goes on after some epochs takes their steps once more, which must come to the same weights.
    """

    def __init__(self, step: Callable[[int], None], is_last: Callable[[int], bool], epochs_before: int) -> None:
        super().__init__()
        self._step, self._is_last, self._epoch = step, is_last, epochs_before

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        for epoch in range(self._epoch):
            self._step(epoch)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Here, and not in `on_epoch_begin`, so that whoever measures an epoch measures this too.
        if batch == 0:
            self._step(self._epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_last(epoch):
            self.model.stop_training = True


def fit_by_steps(
    network: keras.Model,
    step: Callable[[int], None],
    is_last: Callable[[int], bool],
    batches: tf.data.Dataset,
    **fit: Any,
) -> Any:
    """Trains a network, for the training metrics of which an epoch runs a part of the examples.

    Args:
        step: gives the network the weights of an epoch, from 0; called for one epoch after the other.
        is_last: whether nothing is left to do after an epoch.
        batches: of training.
        fit: what ``model.fit`` takes besides.

    Returns:
        What ``model.fit`` returns.
    """
    stepping = _Stepping(step, is_last, fit.get("initial_epoch", 0))
    callbacks = [stepping, *keras.tree.flatten(fit.pop("callbacks", None) or [])]
    with warnings.catch_warnings():
        # There is nothing here that gradients would train.
        warnings.filterwarnings("ignore", message="The model does not have any trainable weights")
        return network.fit(batches.take(_WATCHED_BATCHES), callbacks=callbacks, **fit)
