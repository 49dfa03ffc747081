"""The SavedModel: raw examples in, predictions out, with the decoding that training used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras.src.models.functional import Functional

from tuner.champion.model.served_outputs import Served
from tuner.champion.model.tensors import IMAGE_BYTES, PIXELS, RAW_OUTPUTS, SERVING
from tuner.champion.records.champion_json import ImageInput, TensorInput
from tuner.data.decode import decode_batch, resize_pixels
from tuner.data.structures import in_structure

# Of no class of somebody's own, which may hold more than its layers.
_OF_LAYERS = (keras.Sequential, Functional)
Flat = Callable[..., list[tf.Tensor]]


def write_saved_model(model: keras.Model, takes: ImageInput | TensorInput, served: Served, folder: Path) -> None:
    """Writes a SavedModel with the signature ``serving_default``, and ``pixels`` for images.

    ``model.export`` would not do: layers such as Resizing default to training mode in it, and
    batch normalisation after them then uses the batch's statistics.

    Args:
        takes: the inputs' names and dtypes.
        served: what becomes of the outputs. Where it is something else than they are, another signature,
            ``outputs``, gives them as they are for the inputs of ``serving_default``.

    Raises:
        OSError, tf.errors.OpError: the folder cannot be written.
    """
    archive = keras.export.ExportArchive()
    for part in _parts(model):
        archive.track(part)
    if isinstance(takes, ImageInput):
        _add_image_endpoints(archive, model, takes, served)
    else:
        specs = [tf.TensorSpec((None, *each.shape), each.dtype, name=each.tensor) for each in takes.tensors]
        _add_serving(archive, _on_tensors(model, takes), specs, served)
    archive.write_out(str(folder), verbose=False)


def _parts(model: keras.Model) -> list[keras.Layer]:
    """What together has the model's variables and tables.

    Of a model of layers these are the layers: Keras would trace it, and each model in it, once more for a signature
    that nobody asked for.
    """
    if type(model) not in _OF_LAYERS:
        return [model]
    parts = [part for layer in model.layers for part in (_parts(layer) if isinstance(layer, keras.Model) else [layer])]
    return list({id(part): part for part in parts}.values())


def _add_serving(
    archive: keras.export.ExportArchive, outputs: Flat, specs: Sequence[tf.TensorSpec], served: Served
) -> None:
    archive.add_endpoint(SERVING, lambda *tensors: served.given(outputs(*tensors)), input_signature=list(specs))
    if served.raw_signature == RAW_OUTPUTS:
        archive.add_endpoint(
            RAW_OUTPUTS, lambda *tensors: served.given_raw(outputs(*tensors)), input_signature=list(specs)
        )


def _add_image_endpoints(
    archive: keras.export.ExportArchive, model: keras.Model, takes: ImageInput, served: Served
) -> None:
    size, channels = takes.image_size, takes.channels

    def on_images(images: tf.Tensor) -> list[tf.Tensor]:
        images = tf.ensure_shape(images, (None, *size, channels))
        return _on_some([images], lambda some: model(tf.cast(some, tf.float32), training=False))

    def on_files(image_bytes: tf.Tensor) -> list[tf.Tensor]:
        return on_images(decode_batch(image_bytes, size, channels))

    def pixels(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return served.given(on_images(resize_pixels(images, size, channels)))

    _add_serving(archive, on_files, [tf.TensorSpec((None,), tf.string, name=IMAGE_BYTES)], served)
    decoded = tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")
    archive.add_endpoint(PIXELS, pixels, input_signature=[decoded])


def _on_tensors(model: keras.Model, takes: TensorInput) -> Flat:
    names = [each.name for each in takes.tensors]

    def outputs(*tensors: tf.Tensor) -> list[tf.Tensor]:
        return _on_some(tensors, lambda *some: model(in_structure(takes.structure, names, some), training=False))

    return outputs


def _on_some(tensors: Sequence[tf.Tensor], call: Callable[..., Any]) -> list[tf.Tensor]:
    """The flat outputs for a batch, which may be empty: some of Keras's layers, Resizing for one, fail on none."""
    count = tf.shape(tensors[0])[0]
    missing = tf.cast(tf.equal(count, 0), tf.int32)
    return [output[:count] for output in keras.tree.flatten(call(*(_padded(each, missing) for each in tensors)))]


def _padded(tensor: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """A tensor with ``missing`` (0 or 1) rows of nothing behind it."""
    shape = tf.concat([[missing], tf.shape(tensor)[1:]], axis=0)
    nothing = tf.fill(shape, tf.constant("" if tensor.dtype == tf.string else 0, tensor.dtype))
    padded = tf.concat([tensor, nothing], axis=0)
    return tf.ensure_shape(padded, (None, *tensor.shape[1:]))
