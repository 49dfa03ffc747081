from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from PIL import Image

from tuner.spec.data import ImageDirectory


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes `count` small PNG files of random pixels per class into a new folder."""

    def make(
        name: str = "images",
        classes: tuple[str, ...] = ("cat", "dog"),
        count: int = 6,
        seed: int = 0,
    ) -> Path:
        rng = np.random.default_rng(seed)
        for class_name in classes:
            folder = tmp_path / name / class_name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i:03}.png")
        return tmp_path / name

    return make


@pytest.fixture
def spec() -> Callable[..., ImageDirectory]:
    def make(path: Path | None = None, **keys: object) -> ImageDirectory:
        settings = {"kind": "image_directory", "image_size": (8, 8), **keys}
        return ImageDirectory.model_validate({**settings, "path": path} if path else settings)

    return make
