"""The training of ensembles by ``model.fit``: each member learns by a loss of its own.

By the loss of their mean, members would come to rely on each other, and be no better together than one.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from search_spaces.tables.tabm import MEMBERS


def fit_ensemble(network: keras.Model, *args: Any, **fit: Any) -> Any:
    """Trains a network whose output is the mean of its layer ``MEMBERS``, by the mean of the members' losses.

    Metrics are those of the mean.

    Args:
        args, fit: what ``model.fit`` takes.

    Returns:
        What ``model.fit`` returns.
    """
    # In place of Keras's own step; a network of a class of its own could not be loaded without this package.
    network.train_step = _step_of(network)
    return network.fit(*args, **fit)


def _step_of(network: keras.Model) -> Any:
    both = keras.Model(network.input, [network.get_layer(MEMBERS).output, network.output])

    def step(data: Any) -> Any:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            members, mean = both(x, training=True)
            count = members.shape[1]
            # One example after the other, and of each one member after the other.
            each = ops.reshape(members, (-1, members.shape[2]))
            repeated = None if weights is None else ops.repeat(weights, count, axis=0)
            y_each = ops.repeat(y, count, axis=0)
            loss = network.compute_loss(x=x, y=y_each, y_pred=each, sample_weight=repeated, training=True)
            scaled = network.optimizer.scale_loss(loss)
        variables = network.trainable_variables
        network.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        # On several devices, each has its share of the loss.
        whole = loss * tf.distribute.get_strategy().num_replicas_in_sync
        tracker = next(metric for metric in network.metrics if metric.name == "loss")
        tracker.update_state(whole, sample_weight=ops.shape(mean)[0])
        return network.compute_metrics(x, y, mean, sample_weight=weights)

    return step
