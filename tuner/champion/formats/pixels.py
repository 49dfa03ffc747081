"""Image files decoded for runtimes that take pixels: as the champion's own SavedModel decodes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tuner.data.decode import decode_rgb

# Decoded images are many times as large as their files.
MOST_BYTES = 2**30


def write_pixels(files: Sequence[str], stem: Path, most_bytes: int = MOST_BYTES) -> int:
    """Writes the images of the first files, as many as ``most_bytes`` hold, but one at least.

    Args:
        stem: ``stem.npy`` receives their uint8 RGB pixels, flat; ``stem-places.npy`` each one's offset, height and
            width, int64 (images, 3).

    Returns:
        How many images were written.

    Raises:
        OSError, tf.errors.OpError: a file cannot be read or decoded, or the pixels cannot be written.
    """
    flat, places, size = [], [], 0
    for file in files:
        if size >= most_bytes:
            break
        pixels = decode_rgb(Path(file).read_bytes()).numpy()
        places.append((size, *pixels.shape[:2]))
        flat.append(pixels.ravel())
        size += pixels.size
    np.save(stem.with_name(f"{stem.name}.npy"), np.concatenate(flat))
    np.save(stem.with_name(f"{stem.name}-places.npy"), np.array(places, np.int64))
    return len(places)
