"""Strings processed in the input pipeline while training, beside TextVectorization inside the trained model.

Both train the same network on the same texts, an epoch of one after an epoch of the other, so that they see the same
machine. The first epoch of each, in which TensorFlow traces and XLA compiles, is left out of the medians. A ratio above
1 is what the input pipeline saves. On an accelerator it saves more: there, strings inside the model stop it at every
step.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_tuner
import numpy as np
from report import Report, median, say
from tiny_study import workplace

from search_spaces.text import TextSpace
from search_spaces.text_config import FAMILIES
from tuner.data.batches import BatchFormat, TrainingBatches
from tuner.data.cache import prepare
from tuner.data.prepared import PreparedData
from tuner.spec import Csv

_WORDS = 30_000
Train = Callable[[int], float]


def main() -> None:
    options = _options()
    families = options.family or ["bag", "pooling", "convolution"]
    report = Report("text_pipeline", f"Seconds per epoch of {options.texts} texts of {options.words} words")
    ratios = {}
    with workplace() as folder:
        say(f"writing {options.texts} texts ...")
        data = _write_data(folder, options.texts, options.words)
        for family in families:
            say(f"{family}: {options.epochs} epochs of each, in turn ...")
            apart, within = _measure(data, family, options.epochs, options.batch_size)
            ratios[family] = round(median(within[1:]) / median(apart[1:]), 2)
            report.add(
                network=family,
                in_pipeline=median(apart[1:]),
                in_model=median(within[1:]),
                ratio=ratios[family],
                first_epoch_in_pipeline=apart[0],
                first_epoch_in_model=within[0],
            )
    report.facts |= {f"ratio_{family}": ratio for family, ratio in ratios.items()}
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--words", type=int, default=100, help="of each text")
    parser.add_argument("--epochs", type=int, default=5, help="of each; the first is not counted")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--family", choices=FAMILIES, action="append", help="only this one; may be given several times")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _write_data(folder: Path, texts: int, words: int) -> PreparedData:
    """Texts of words that are as frequent as words are, in two classes."""
    draw = np.random.default_rng(0)
    places = np.minimum(draw.zipf(1.3, (texts, words)), _WORDS)
    with (folder / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number, row in enumerate(places):
            writer.writerow([" ".join(f"w{place}" for place in row) + (" good" if number % 2 else " bad"), number % 2])
    described = {"kind": "csv", "path": folder / "texts.csv", "text_column": "text", "label_column": "label"}
    return prepare(Csv.model_validate(described | {"task": "classification"}), folder / "cache")


def _measure(data: PreparedData, family: str, epochs: int, batch_size: int) -> tuple[list[float], list[float]]:
    """The seconds of each epoch with strings in the pipeline, and inside the model."""
    apart, within = _training(data, family, batch_size, staged=True), _training(data, family, batch_size, staged=False)
    seconds = [(apart(epoch), within(epoch)) for epoch in range(epochs)]
    return [pair[0] for pair in seconds], [pair[1] for pair in seconds]


def _training(data: PreparedData, family: str, batch_size: int, staged: bool) -> Train:
    keras.utils.set_random_seed(0)
    space = TextSpace(data.summary(), families=[family], batch_size=batch_size)
    model = space.build(keras_tuner.HyperParameters())
    form = BatchFormat(space.labels, model.preprocessing if staged else None)
    batches = TrainingBatches(data, batch_size, 0, form)
    trained: Any = model.network if staged else model.end_to_end()

    def train(epoch: int) -> float:
        batches.epoch = epoch
        started = time.perf_counter()
        trained.fit(batches.dataset, verbose=0)
        return time.perf_counter() - started

    return train


if __name__ == "__main__":
    main()
