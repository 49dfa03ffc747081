"""The SavedModel: raw files or pixels in, probabilities out, with the decoding that training used."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from tuner.champion.probabilities import OutputMeaning
from tuner.data.decode import decode_batch, resize_pixels

# Beside the two signatures for users: what the model itself gives, for metrics that need logits.
RAW_OUTPUTS = "outputs"


def write_saved_model(
    model: keras.Model,
    meaning: OutputMeaning,
    size: tuple[int, int],
    channels: int,
    folder: Path,
) -> None:
    """Writes a SavedModel with the signatures ``serving_default`` and ``pixels``.

    ``model.export`` would not do: layers such as Resizing default to training mode in it, and
    batch normalisation after them then uses the batch's statistics.

    Args:
        meaning: how the model's output becomes probabilities. Where it is something else than
            they are, a third signature, ``outputs``, gives it as it is for ``image_bytes``.
        size: (height, width) that the model was trained at.
        channels: 3 or 1.

    Raises:
        OSError, tf.errors.OpError: the folder cannot be written.
    """

    def output(images: tf.Tensor) -> tf.Tensor:
        count = tf.shape(images)[0]
        # Some of Keras's layers, Resizing for one, fail on an empty batch.
        missing = tf.cast(tf.equal(count, 0), tf.int32)
        some = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        some = tf.ensure_shape(some, (None, *size, channels))
        return model(tf.cast(some, tf.float32), training=False)[:count]

    def serving_default(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        images = decode_batch(image_bytes, size, channels)
        return {"probabilities": meaning.probabilities(output(images))}

    def pixels(images: tf.Tensor) -> dict[str, tf.Tensor]:
        resized = resize_pixels(images, size, channels)
        return {"probabilities": meaning.probabilities(output(resized))}

    def outputs(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        images = decode_batch(image_bytes, size, channels)
        return {"outputs": tf.cast(output(images), tf.float32)}

    encoded = tf.TensorSpec((None,), tf.string, name="image_bytes")
    decoded = tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serving_default, input_signature=[encoded])
    archive.add_endpoint("pixels", pixels, input_signature=[decoded])
    if not meaning.is_probabilities:
        archive.add_endpoint(RAW_OUTPUTS, outputs, input_signature=[encoded])
    archive.write_out(str(folder), verbose=False)
