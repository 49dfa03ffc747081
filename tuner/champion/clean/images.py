"""Image files as a user of the signature ``pixels`` decodes them: RGB, uint8, of any size."""

from __future__ import annotations

from typing import Any

import numpy as np

_BMP_HEADER = 54


def decoded(content: bytes) -> Any:
    """The pixels of a JPEG, PNG, BMP or GIF file (its first frame), uint8 (height, width, 3).

    Raises:
        tf.errors.InvalidArgumentError: it is no image of these formats.
    """
    import tensorflow as tf

    pixels = tf.io.decode_image(content, channels=3, expand_animations=False).numpy()
    if len(content) < _BMP_HEADER or content[:2] != b"BM" or _integer(content, 28, 2) != 8:
        return pixels
    # TensorFlow gives the places in the palette as if they were grey values.
    start = 14 + _integer(content, 14, 4)
    length = (_integer(content, 10, 4) - start) // 4 * 4
    palette = np.frombuffer(content, np.uint8, length, start).reshape(-1, 4)[:, 2::-1]
    return palette[tf.io.decode_bmp(content).numpy()[..., 0]]


def _integer(content: bytes, position: int, length: int) -> int:
    return int.from_bytes(content[position : position + length], "little")
