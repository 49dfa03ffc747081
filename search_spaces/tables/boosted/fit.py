"""The training of boosted trees by ``model.fit``: each epoch adds trees, and Keras does the rest."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras.src.utils.rng_utils import get_random_seed

from search_spaces.base import Target
from search_spaces.stepwise_fit import fit_by_steps
from search_spaces.tables.boosted.growing import Boosters, examples_of
from search_spaces.tables.boosted.trees import Forest, capacity_of
from search_spaces.tables.config import Boosting

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


def fit_boosted(
    network: keras.Model, boosting: Boosting, target: Target, whole: int, batches: tf.data.Dataset, **fit: Any
) -> Any:
    """Trains a network of ``boosted.trees``.

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

    def step(epoch: int) -> None:
        boosters.grow(iterations_in_epoch(epoch, capacity.iterations, whole))

    return fit_by_steps(network, step, lambda _: boosters.is_done, batches, **fit)
