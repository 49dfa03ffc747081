"""Networks of keras.applications with weights learned on ImageNet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras

Weights = Literal["imagenet"] | None

# Below it, keras.applications refuses its networks, and upscaled features say little.
SMALLEST_SIDE = 32


@dataclass(frozen=True)
class _Source:
    """A constructor whose network takes RGB in [0, 255], and Keras's file of its weights."""

    construct: Callable[..., keras.Model]
    file: str


BACKBONES: dict[str, _Source] = {
    "mobilenet_v3_large": _Source(
        partial(keras.applications.MobileNetV3Large, include_preprocessing=True),
        "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    ),
    "efficientnet_v2_b0": _Source(
        partial(keras.applications.EfficientNetV2B0, include_preprocessing=True),
        "efficientnetv2-b0_notop.h5",
    ),
}


def require_backbones(input_shape: Sequence[int], weights: Weights) -> None:
    """Fetches the weights of every backbone that is not yet on this machine.

    Args:
        input_shape: height, width and channels of the data.
        weights: None needs nothing fetched.

    Raises:
        ValueError: the images do not suit, or weights cannot be fetched.
    """
    side, channels = min(input_shape[:2]), input_shape[2]
    if side < SMALLEST_SIDE:
        raise ValueError(
            f"pretrained networks need images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels "
            f"and these have {side} on a side: raise data.image_size, or set pretrained: false"
        )
    if channels not in (1, 3):
        raise ValueError(
            f"pretrained networks take 1 or 3 channels and these images have {channels}: set pretrained: false"
        )
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras"), "models").expanduser()
    for name, source in BACKBONES.items():
        if weights and not (folder / source.file).exists():
            _fetch(name, source, folder)


def _fetch(name: str, source: _Source, folder: Path) -> None:
    shape = (SMALLEST_SIDE, SMALLEST_SIDE, 3)
    try:
        source.construct(weights="imagenet", include_top=False, input_shape=shape)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"the ImageNet weights of {name} cannot be fetched ({reason}): connect this machine to "
            f"the internet, put {source.file} into {folder}, or set pretrained: false"
        ) from error


def apply_backbone(x: Any, name: str, fine_tune: bool, weights: Weights) -> Any:
    """Feature maps of images.

    Args:
        x: float32 (batch, height, width, channels) in [0, 255]; a single channel is repeated,
            three are red, green, blue.
        name: a key of ``BACKBONES``.
        fine_tune: whether its weights are trained.
        weights: None starts from random weights.
    """
    if x.shape[-1] == 1:
        x = keras.layers.Concatenate()([x, x, x])
    shape = tuple(x.shape[1:])
    network = BACKBONES[name].construct(weights=weights, include_top=False, input_shape=shape)
    network.trainable = fine_tune
    # Batch statistics of a small data set would spoil those learned on ImageNet.
    return network(x, training=False)
