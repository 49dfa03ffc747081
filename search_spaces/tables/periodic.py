"""Waves of numbers whose frequencies are learned."""

from __future__ import annotations

import math
from typing import Any

from keras import initializers, layers, ops

_WAVES, _MIXED = 16, 3


def waves_of(x: Any, frequency: float) -> Any:
    """Each number, and three mixtures of its cosines, side by side: float32 (batch, n) to (batch, 4 * n).

    Args:
        x: robustly scaled numbers.
        frequency: the standard deviation of the first frequencies, in waves for each unit of ``x``.

    References:
        Periodic embeddings with biases, linear and densely connected: Holzmueller et al., Better by Default, arXiv
        2407.04491, appendix A; after Gorishniy et al., arXiv 2203.05556.
    """
    count = x.shape[-1]
    angles = layers.EinsumDense(
        "bn,nw->bnw",
        (count, _WAVES),
        bias_axes="nw",
        kernel_initializer=initializers.RandomNormal(stddev=2 * math.pi * frequency),
        bias_initializer=initializers.RandomUniform(-math.pi, math.pi),
    )(x)
    near = 1 / math.sqrt(_WAVES)
    mixed = layers.EinsumDense(
        "bnw,nwm->bnm", (count, _MIXED), bias_axes="nm", kernel_initializer=initializers.RandomUniform(-near, near)
    )(ops.cos(angles))
    return layers.Flatten()(layers.Concatenate()([ops.expand_dims(x, -1), mixed]))
