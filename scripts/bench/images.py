"""Generated images in class folders: noise with a pattern per class that a small network learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CLASSES = 10


def write_images(folder: Path, per_class: int, side: int, seed: int = 0) -> Path:
    """Writes ``folder/class-<i>/<j>.png``, RGB, ``side`` by ``side`` pixels. Gives the folder."""
    # Imported here because the search spaces need CLASSES in every trial, and no Pillow.
    from PIL import Image

    generator = np.random.Generator(np.random.PCG64(seed))
    # The patterns must not depend on the seed: training and validation images share them.
    patterns = np.random.Generator(np.random.PCG64(0)).uniform(40, 215, (CLASSES, side, side, 3))
    for label in range(CLASSES):
        place = folder / f"class-{label}"
        place.mkdir(parents=True)
        for index in range(per_class):
            noisy = patterns[label] + generator.normal(0, 90, (side, side, 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{index:05d}.png")
    return folder
