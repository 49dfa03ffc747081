"""The body of RealMLP: a multilayer perceptron with a layer that scales its inputs, and layers that learn alike.

References:
    Holzmueller, Grinsztajn and Steinwart, Better by Default, arXiv 2407.04491. It learns at 0.04 in layers whose inputs
    are scaled by ``1 / sqrt(n)``, and at 0.24 in the scaling layer. To a layer of ``_WIDTH`` inputs without that scale,
    Adam does the same at 0.0025, which is what a learning rate means here. Inputs are scaled so that layers of other
    widths learn alike.
"""

from __future__ import annotations

import math
from typing import Any

from keras import initializers, layers

from search_spaces.tables.config import Network

_WIDTH = 256
# What a learning rate is multiplied with for the scaling layer: 0.24 at the default of 0.006.
_FASTER = 40.0


def realmlp(x: Any, network: Network) -> Any:
    """Features, (batch, n), to (batch, units)."""
    x = _scaled(x)
    for _ in range(network.layers):
        x = layers.Activation(network.activation)(_dense(x, network.units))
        x = layers.Dropout(network.dropout)(x) if network.dropout else x
    return x


def _scaled(x: Any) -> Any:
    factors = layers.EinsumDense(
        "bn,n->bn", x.shape[-1:], kernel_initializer=initializers.Constant(1 / _FASTER), name="factors"
    )
    return layers.Rescaling(_FASTER)(factors(x))


def _dense(x: Any, units: int) -> Any:
    x = layers.Rescaling(math.sqrt(_WIDTH / x.shape[-1]))(x)
    return layers.Dense(units, kernel_initializer=initializers.RandomNormal(stddev=1 / math.sqrt(_WIDTH)))(x)
