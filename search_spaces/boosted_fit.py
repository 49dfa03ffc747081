"""The training of boosted trees by ``model.fit``: each epoch adds trees, and Keras does the rest."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras.src.utils.rng_utils import get_random_seed

from search_spaces.base import Target
from search_spaces.boosted_trees import Forest, capacity_of
from search_spaces.boosting import Boosters, examples_of
from search_spaces.structured_config import Boosting

# A few training examples are enough to see how well they are known: trees grow without batches.
_WATCHED_BATCHES = 1
_FEWEST, _MOST = 5, 60
# Of more epochs, the later ones have nothing left to do.
_LONGEST = 25


def iterations_in_epoch(epoch: int, iterations: int, epochs: int) -> int:
    """How many of a training's ``iterations`` an epoch, from 0, has, where there is room for them.

    The first ones have the fewest: of a small table, few are best. ``epochs`` epochs have all of them, if those are
    enough.
    """
    length = min(epochs, _LONGEST)
    before, after = (iterations * (number / length) ** 1.5 for number in (epoch, epoch + 1))
    return min(max(round(after) - round(before), _FEWEST), _MOST)


class Growing(keras.callbacks.Callback):
    """Grows trees at the beginning of each epoch, and ends the training when there is no room for more.

    A training that goes on after some epochs grows their trees once more, and the same ones.
    """

    def __init__(self, boosters: Boosters, iterations: Callable[[int], int], epochs_before: int) -> None:
        super().__init__()
        self._boosters, self._iterations, self._epoch = boosters, iterations, epochs_before

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        for epoch in range(self._epoch):
            self._boosters.grow(self._iterations(epoch))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Here, and not in `on_epoch_begin`, so that whoever measures an epoch measures this too.
        if batch == 0:
            self._boosters.grow(self._iterations(self._epoch))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._boosters.is_done:
            self.model.stop_training = True


def fit_boosted(
    network: keras.Model, boosting: Boosting, target: Target, whole: int, batches: tf.data.Dataset, **fit: Any
) -> Any:
    """Trains a network of ``boosted_trees``.

    Training metrics are of a part of the training examples, another one in each epoch.

    Args:
        whole: the epochs of a full training, which may be more than ``fit`` is for.
        batches: of training.
        fit: what ``model.fit`` takes besides.

    Returns:
        What ``model.fit`` returns.
    """
    _, columns = network.input["floats"].shape
    capacity = capacity_of(boosting, target)
    boosters = Boosters(
        Forest(network, columns, capacity),
        boosting,
        target,
        examples_of(batches),
        seed=get_random_seed() or 0,
        threads=tf.config.threading.get_intra_op_parallelism_threads(),
    )
    growing = Growing(
        boosters, lambda epoch: iterations_in_epoch(epoch, capacity.iterations, whole), fit.get("initial_epoch", 0)
    )
    callbacks = [growing, *keras.tree.flatten(fit.pop("callbacks", None) or [])]
    with warnings.catch_warnings():
        # There is nothing here that gradients would train.
        warnings.filterwarnings("ignore", message="The model does not have any trainable weights")
        return network.fit(batches.take(_WATCHED_BATCHES), callbacks=callbacks, **fit)
