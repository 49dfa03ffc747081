"""The one decoding and resizing of images: for the training cache and inside exported models.

Any difference between the two would show as a different score, so both trace these functions.
Every step runs on the CPU: a GPU's resizing may round differently.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_BMP_HEADER = 54
# ITU-R BT.601 luma in thousandths: integers, so that no platform rounds differently.
LUMA = (299, 587, 114)


class UndecodableImage(ValueError):
    """Bytes that are no image of a supported format; the text is the reason, in one line."""


def decode(image_bytes: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """Decodes one image and resizes it.

    JPEG (CMYK too), PNG (16-bit samples keep their high byte), BMP (8-bit palettes, 24 and 32 bit)
    and GIF (its first frame). Transparency is dropped and EXIF orientation is not applied.

    Args:
        image_bytes: scalar string.
        size: (height, width) of the result.
        channels: 3 for RGB, 1 for grey.

    Returns:
        uint8, shape (height, width, channels).

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image of these formats.
    """
    return resize_pixels(decode_rgb(image_bytes)[tf.newaxis], size, channels)[0]


def decode_rgb(image_bytes: tf.Tensor) -> tf.Tensor:
    """``decode`` before the resizing: uint8 (h, w, 3), RGB."""
    with tf.device("/CPU:0"):
        rgb = tf.cond(
            _has_palette_bmp_header(image_bytes),
            lambda: _decode_palette_bmp(image_bytes),
            lambda: tf.io.decode_image(image_bytes, channels=3, expand_animations=False),
        )
        return tf.ensure_shape(rgb, (None, None, 3))


def decode_batch(image_bytes: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """``decode`` of each of a (batch,) string tensor: uint8, (batch, height, width, channels)."""
    return tf.map_fn(
        lambda one: decode(one, size, channels),
        image_bytes,
        fn_output_signature=tf.TensorSpec((*size, channels), tf.uint8),
    )


def resize_pixels(images: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """Resizes decoded RGB images as ``decode`` does: bilinear with antialiasing.

    Args:
        images: uint8, shape (batch, h, w, 3).
        size: (height, width) of the result; images of that size keep their pixels.
        channels: 3 for RGB, 1 for grey.

    Returns:
        uint8, shape (batch, height, width, channels).
    """
    with tf.device("/CPU:0"):
        pixels = images if channels == 3 else _luma(images)
        resized = tf.image.resize(pixels, size, method="bilinear", antialias=True)
        rounded = tf.clip_by_value(tf.round(tf.cast(resized, tf.float32)), 0.0, 255.0)
        return tf.ensure_shape(tf.cast(rounded, tf.uint8), (None, *size, channels))


def file_decoder(size: tuple[int, int], channels: int) -> Callable[[bytes], npt.NDArray[np.uint8]]:
    """``decode`` as a function of a file's bytes, traced once and safe to call from threads.

    The function returned raises UndecodableImage.
    """
    traced = tf.function(
        lambda image_bytes: decode(image_bytes, size, channels),
        input_signature=[tf.TensorSpec((), tf.string)],
    ).get_concrete_function()

    def decode_bytes(content: bytes) -> npt.NDArray[np.uint8]:
        if not content:
            raise UndecodableImage("is empty, 0 bytes")
        try:
            return traced(tf.constant(content)).numpy()
        except tf.errors.OpError as error:
            raise UndecodableImage(_reason(error.message)) from None

    return decode_bytes


def _luma(rgb: tf.Tensor) -> tf.Tensor:
    weighted = tf.reduce_sum(tf.cast(rgb, tf.int32) * tf.constant(LUMA), axis=-1, keepdims=True)
    return tf.cast((weighted + 500) // 1000, tf.uint8)


def _has_palette_bmp_header(image_bytes: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        tf.strings.length(image_bytes) >= _BMP_HEADER,
        lambda: tf.logical_and(
            tf.equal(tf.strings.substr(image_bytes, 0, 2), b"BM"),
            tf.equal(_integer(image_bytes, 28, 2), 8),
        ),
        lambda: tf.constant(False),
    )


def _decode_palette_bmp(image_bytes: tf.Tensor) -> tf.Tensor:
    """TensorFlow returns an 8-bit BMP's palette indices as if they were grey values."""
    indices = tf.io.decode_bmp(image_bytes)[..., 0]
    # Decoding goes first: of a damaged file it knows best what is wrong.
    with tf.control_dependencies([indices]):
        start = 14 + _integer(image_bytes, 14, 4)
        length = (_integer(image_bytes, 10, 4) - start) // 4 * 4
        table = tf.io.decode_raw(tf.strings.substr(image_bytes, start, length), tf.uint8)
    blue_green_red = tf.reshape(table, (-1, 4))[:, :3]
    return tf.gather(tf.reverse(blue_green_red, axis=[1]), tf.cast(indices, tf.int32))


def _integer(image_bytes: tf.Tensor, position: int, length: int) -> tf.Tensor:
    """The little-endian unsigned integer at a position, as int32."""
    raw = tf.io.decode_raw(tf.strings.substr(image_bytes, position, length), tf.uint8)
    return tf.reduce_sum(tf.cast(raw, tf.int32) * tf.constant([256**i for i in range(length)]))


def _reason(message: str) -> str:
    """The sentence for people in TensorFlow's message, without graph nodes."""
    lines = [
        text
        for line in message.splitlines()
        if (text := re.sub(r"\{\{.*?\}\}|\[Op:.*?\]|\[\[.*?\]\]", "", line).strip())
        and not text.startswith(("Graph execution error", "Detected at node", "(0)", "(1)"))
    ]
    return lines[0].rstrip(".") if lines else "cannot be decoded"
