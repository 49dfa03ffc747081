"""Ensembles of networks that share nearly all of their weights.

Each member scales the features by factors of its own and has an output layer of its own; the layers between are common
to all. Members make different mistakes, so that their mean is better than a network of the same size.

References:
    TabM-mini of Gorishniy, Kotelnikov and Babenko, TabM, arXiv 2410.24210.
"""

from __future__ import annotations

import math
from typing import Any

from keras import initializers, layers

from search_spaces.base import Target
from search_spaces.tables.config import Network
from search_spaces.targets import output_name, outputs_of, predictions

# The layer that gives what each member predicts, (batch, members, outputs).
MEMBERS = "members"


def ensemble(x: Any, network: Network, target: Target) -> Any:
    """The mean of what the members predict from features, (batch, n), as ``targets.output_layers`` gives it."""
    count, width = network.members, x.shape[-1]
    x = layers.RepeatVector(count)(x)
    x = layers.EinsumDense(
        "bmn,mn->bmn", (count, width), kernel_initializer=initializers.RandomNormal(stddev=1.0), name="factors"
    )(x)
    for _ in range(network.layers):
        x = layers.Dense(network.units, network.activation, kernel_initializer="he_uniform")(x)
        x = layers.Dropout(network.dropout)(x) if network.dropout else x
    near = 1 / math.sqrt(network.units)
    scores = layers.EinsumDense(
        "bmn,mno->bmo",
        (count, outputs_of(target)),
        bias_axes="mo",
        kernel_initializer=initializers.RandomUniform(-near, near),
        dtype="float32",
        name="scores",
    )(x)
    members = predictions(target, scores, MEMBERS)
    return layers.GlobalAveragePooling1D(dtype="float32", name=output_name(target))(members)
