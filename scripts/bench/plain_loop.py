"""Predicting a folder of images with `model.keras` and without this project, as people write it.

usage: python plain_loop.py pillow|dataset CHAMPION FOLDER OUTPUT.jsonl     (run by predict_folder.py)
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from PIL import Image

_BATCH = 32


def with_pillow(model: Any, files: list[Path], size: tuple[int, int]) -> Iterator[Any]:
    """Probabilities (classes,) of each file."""
    for start in range(0, len(files), _BATCH):
        images = [Image.open(file).convert("RGB").resize(size) for file in files[start : start + _BATCH]]
        yield from model.predict_on_batch(np.stack([np.asarray(image, np.float32) for image in images]))


def with_dataset(model: Any, folder: Path, size: tuple[int, int]) -> Iterator[Any]:
    """The same, in the order of the files' names."""
    images = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=size, batch_size=_BATCH, shuffle=False
    )
    yield from model.predict(images, verbose=0)


def main(way: str, champion: Path, folder: Path, output: Path) -> None:
    record = json.loads((champion / "champion.json").read_text())
    height, width = record["input"]["image_size"]
    model = keras.saving.load_model(champion / "model.keras")
    files = sorted(folder.iterdir())
    rows = (
        with_pillow(model, files, (width, height)) if way == "pillow" else with_dataset(model, folder, (height, width))
    )
    with output.open("w") as out:
        for file, row in zip(files, rows, strict=True):
            best = int(row.argmax())
            told = {"file": str(file), "label": record["class_names"][best], "probability": float(row[best])}
            out.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
