"""Strings processed in the input pipeline while training, beside TextVectorization inside the trained model.

Both train the same network on the same texts, an epoch of one after an epoch of the other, so that they see the same
machine. The first epoch of each, in which TensorFlow traces and XLA compiles, is left out of the medians. A ratio above
1 is what the input pipeline saves; processor seconds are what this process itself has used, whatever else runs here.

What the pipeline makes of the texts in the first epoch is kept for the later ones, as far as 256 MB hold it. On an
accelerator, strings inside the model stop it at every step and keep it from being compiled; ``--xla`` compiles the
network on a CPU too.
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
from search_spaces.texts.config import FAMILIES
from tuner.data.batches import BatchFormat, TrainingBatches
from tuner.data.cache import prepare
from tuner.data.prepared import PreparedData
from tuner.data.summary import summary_of
from tuner.spec.data import Csv

_WORDS = 30_000
# Trains an epoch; its seconds, and this process's processor seconds.
Train = Callable[[int], tuple[float, float]]
Taken = list[tuple[float, float]]


def main() -> None:
    options = _options()
    families = options.family or ["bag", "pooling", "convolution"]
    report = Report("text_pipeline", f"Seconds per epoch of {options.texts} texts of {options.words} words")
    with workplace() as folder:
        say(f"writing {options.texts} texts ...")
        data = _write_data(folder, options.texts, options.words)
        for family in families:
            say(f"{family}: {options.epochs} epochs of each, in turn ...")
            apart, within = _measure(data, family, options)
            seconds = median([each[0] for each in apart[1:]]), median([each[0] for each in within[1:]])
            report.add(
                network=family,
                in_pipeline=seconds[0],
                in_model=seconds[1],
                ratio=round(seconds[1] / seconds[0], 2),
                processor_in_pipeline=median([each[1] for each in apart[1:]]),
                processor_in_model=median([each[1] for each in within[1:]]),
                first_epoch_in_pipeline=apart[0][0],
                first_epoch_in_model=within[0][0],
            )
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--words", type=int, default=100, help="of each text")
    parser.add_argument("--epochs", type=int, default=5, help="of each; the first is not counted")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--family", choices=FAMILIES, action="append", help="only this one; may be given several times")
    parser.add_argument("--xla", action="store_true", help="compile the network, where no string is in it")
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


def _measure(data: PreparedData, family: str, options: argparse.Namespace) -> tuple[Taken, Taken]:
    """What each epoch took with strings in the pipeline, and inside the model."""
    apart = _training(data, family, options.batch_size, staged=True, xla=options.xla)
    within = _training(data, family, options.batch_size, staged=False, xla=False)
    taken = [(apart(epoch), within(epoch)) for epoch in range(options.epochs)]
    return [pair[0] for pair in taken], [pair[1] for pair in taken]


def _training(data: PreparedData, family: str, batch_size: int, *, staged: bool, xla: bool) -> Train:
    keras.utils.set_random_seed(0)
    space = TextSpace(summary_of(data), families=[family], batch_size=batch_size)
    model = space.build(keras_tuner.HyperParameters())
    form = BatchFormat(space.labels, model.preprocessing if staged else None)
    batches = TrainingBatches(data, batch_size, 0, form)
    trained: Any = model.network if staged else model.end_to_end()
    if xla:
        trained.jit_compile = True

    def train(epoch: int) -> tuple[float, float]:
        batches.epoch = epoch
        started, used = time.perf_counter(), time.process_time()
        trained.fit(batches.dataset, verbose=0)
        return time.perf_counter() - started, time.process_time() - used

    return train


if __name__ == "__main__":
    main()
