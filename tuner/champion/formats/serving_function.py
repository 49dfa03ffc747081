"""The way from raw tensors to named outputs, as the formats that TensorFlow does not run convert it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from tuner.champion.model.loaded_model import LoadedExport
from tuner.champion.model.tensors import RAW_OUTPUTS
from tuner.champion.records.champion_json import ImageInput
from tuner.data.structures import in_structure

IMAGES = "images"
Resize = Callable[[tf.Tensor, tuple[int, int], int], tf.Tensor]


@dataclass(frozen=True)
class ServingFunction:
    """Attributes: ``call``: takes a tensor for each of ``specs``; ``takes``: what those are, in words."""

    call: Callable[..., dict[str, tf.Tensor]]
    specs: tuple[tf.TensorSpec, ...]
    takes: dict[str, str]


def serving_function(loaded: LoadedExport, resize: Resize | None = None, *, labels: bool = True) -> ServingFunction:
    """The function of a model.

    Args:
        resize: for images of any size: uint8 (batch, h, w, 3) to uint8 (batch, height, width, channels). Without it
            they are of the model's size and channels.
        labels: whether the most probable class's name is one of the outputs.
    """
    takes = loaded.takes
    if isinstance(takes, ImageInput):
        return _of_images(loaded, takes, resize, labels)
    specs = tuple(tf.TensorSpec((None, *each.shape), each.dtype, name=each.tensor) for each in takes.tensors)
    names, structure = [each.name for each in takes.tensors], takes.structure

    def call(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return _outputs(loaded, in_structure(structure, names, tensors), labels)

    words = next(iter(takes.signatures.values()))
    return ServingFunction(call, specs, {tensor: text for tensor, text in words.items() if tensor != "gives"})


def _of_images(loaded: LoadedExport, takes: ImageInput, resize: Resize | None, labels: bool) -> ServingFunction:
    (height, width), channels = takes.image_size, takes.channels
    colours = "RGB" if channels == 3 else "grey"

    def call(images: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = images if resize is None else resize(images, (height, width), channels)
        pixels = tf.ensure_shape(pixels, (None, height, width, channels))
        return _outputs(loaded, tf.cast(pixels, tf.float32), labels)

    if resize is None:
        shape: tuple[int | None, ...] = (None, height, width, channels)
        words = f"uint8 (batch, {height}, {width}, {channels}): {colours} pixels in [0, 255], resized as training does"
    else:
        shape = (None, None, None, 3)
        words = (
            f"uint8 (batch, height, width, 3): RGB pixels in [0, 255] of any size; resized to {height}x{width} inside"
        )
    return ServingFunction(call, (tf.TensorSpec(shape, tf.uint8, name=IMAGES),), {IMAGES: words})


def _outputs(loaded: LoadedExport, inputs: object, labels: bool) -> dict[str, tf.Tensor]:
    served = loaded.served
    raw = keras.tree.flatten(loaded.model(inputs, training=False))
    given = served.given(raw)
    if served.raw_signature == RAW_OUTPUTS:
        # For whoever needs the logits, as the study's own metrics may.
        given = given | served.given_raw(raw)
    return {name: value for name, value in given.items() if labels or value.dtype != tf.string}
