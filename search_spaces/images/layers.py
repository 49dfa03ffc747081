"""Builds the networks of the image space, of Keras's own layers only: a saved model loads anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from search_spaces.base import Target
from search_spaces.images.backbones import Weights, apply_backbone
from search_spaces.images.config import (
    Augmentation,
    Framing,
    Head,
    ImageConfig,
    Network,
)
from search_spaces.targets import output_layers


def assemble(
    config: ImageConfig,
    input_shape: tuple[int, ...],
    target: Target,
    *,
    max_width: int,
    weights: Weights,
) -> keras.Model:
    """An uncompiled model: float32 (batch, *input_shape) in [0, 255] to what ``output_layers`` gives.

    Args:
        max_width: no stage of a network trained from scratch has more filters.
        weights: of a backbone; None starts from random ones.
    """
    inputs = x = layers.Input(input_shape, name="images")
    x = _frame(x, config.framing)
    if config.augmentation:
        x = _augment(x, config.augmentation)
    if config.backbone:
        x = apply_backbone(x, config.backbone.name, config.backbone.fine_tune, weights)
    elif config.network:
        x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(x)
        x = _BODIES[config.family](x, config.network, max_width)
    return keras.Model(inputs, _predict(x, config.head, target), name=config.family)


def _frame(x: Any, framing: Framing) -> Any:
    height, width = x.shape[1:3]
    if framing.crop < 1:
        height, width = (max(1, round(side * framing.crop)) for side in (height, width))
        x = layers.CenterCrop(height, width, dtype="float32")(x)
    if (height, width) != framing.size:
        x = layers.Resizing(*framing.size, dtype="float32")(x)
    return x


def _augment(x: Any, strengths: Augmentation) -> Any:
    shift = {"fill_mode": "nearest", "dtype": "float32"}
    if strengths.flip != "none":
        x = layers.RandomFlip(strengths.flip, dtype="float32")(x)
    if strengths.translation:
        x = layers.RandomTranslation(strengths.translation, strengths.translation, **shift)(x)
    if strengths.rotation:
        x = layers.RandomRotation(strengths.rotation, **shift)(x)
    if strengths.zoom:
        x = layers.RandomZoom(strengths.zoom, **shift)(x)
    if strengths.contrast:
        x = layers.RandomContrast(strengths.contrast, dtype="float32")(x)
    if strengths.erasing:
        # A pair of equal bounds: of a single number, Keras draws the share between 0 and it.
        x = layers.RandomErasing((strengths.erasing, strengths.erasing), dtype="float32")(x)
    return x


def _predict(x: Any, head: Head, target: Target) -> Any:
    pool = layers.GlobalAveragePooling2D if head.pooling == "avg" else layers.GlobalMaxPooling2D
    x = pool()(x)
    if head.units:
        x = layers.Dense(head.units, activation="relu")(x)
    if head.dropout:
        x = layers.Dropout(head.dropout)(x)
    return output_layers(target, x)


def _widths(network: Network, max_width: int) -> list[int]:
    return [min(network.width * 2**stage, max_width) for stage in range(network.stages)]


def _stem(x: Any, network: Network) -> Any:
    x = _convolve(x, network, network.width, strides=min(network.stem_stride, 2))
    return layers.MaxPooling2D(padding="same")(x) if network.stem_stride == 4 else x


def _plain(x: Any, network: Network, max_width: int) -> Any:
    if network.stem_stride > 1:
        x = _stem(x, network)
    for stage, width in enumerate(_widths(network, max_width)):
        if stage:
            x = layers.MaxPooling2D(padding="same")(x)
        for _ in range(network.blocks):
            x = _convolve(x, network, width)
    return x


def _residual(x: Any, network: Network, max_width: int) -> Any:
    x = _stem(x, network)
    for stage, width in enumerate(_widths(network, max_width)):
        for block in range(network.blocks):
            x = _residual_block(x, network, width, strides=2 if stage and not block else 1)
    return x


def _residual_block(x: Any, network: Network, width: int, strides: int) -> Any:
    shortcut = x
    if strides > 1:
        shortcut = layers.AveragePooling2D(strides, padding="same")(shortcut)
    if shortcut.shape[-1] != width:
        shortcut = _normalize(layers.Conv2D(width, 1, use_bias=False)(shortcut), network)
    x = _convolve(x, network, width, strides=strides)
    x = _normalize(layers.Conv2D(width, 3, padding="same", use_bias=False)(x), network)
    if network.squeeze_excitation:
        x = _squeeze_excite(x)
    return layers.Activation(network.activation)(layers.Add()([shortcut, x]))


def _squeeze_excite(x: Any) -> Any:
    width = x.shape[-1]
    scale = layers.GlobalAveragePooling2D(keepdims=True)(x)
    scale = layers.Conv2D(max(width // 8, 4), 1, activation="relu")(scale)
    return layers.Multiply()([x, layers.Conv2D(width, 1, activation="sigmoid")(scale)])


def _separable(x: Any, network: Network, max_width: int) -> Any:
    x = _stem(x, network)
    for stage, width in enumerate(_widths(network, 2 * max_width)):
        for block in range(network.blocks):
            x = _separable_block(x, network, width, strides=2 if stage and not block else 1)
    return x


def _separable_block(x: Any, network: Network, width: int, strides: int) -> Any:
    shortcut = x
    x = layers.DepthwiseConv2D(network.kernel_size, strides=strides, padding="same", use_bias=False)(x)
    x = layers.Activation(network.activation)(_normalize(x, network))
    x = _normalize(layers.Conv2D(width, 1, use_bias=False)(x), network)
    if shortcut.shape == x.shape:
        x = layers.Add()([shortcut, x])
    return layers.Activation(network.activation)(x)


def _convolve(x: Any, network: Network, width: int, strides: int = 1) -> Any:
    x = layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(x)
    return layers.Activation(network.activation)(_normalize(x, network))


def _normalize(x: Any, network: Network) -> Any:
    if network.normalization == "group":
        return layers.GroupNormalization(groups=8)(x)
    return layers.BatchNormalization(momentum=network.momentum)(x)


_BODIES: dict[str, Callable[[Any, Network, int], Any]] = {
    "plain": _plain,
    "residual": _residual,
    "separable": _separable,
}
