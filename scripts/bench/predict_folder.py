"""`tuner predict` of a folder of images beside the Keras loops that users write. Aim: a ratio of at most 1.

All are whole processes, from their start to their exit, and run in turns of two seconds, so that they see the same
machine. One loop opens each file with Pillow and calls `predict_on_batch`; the other is `image_dataset_from_directory`
and `predict`. The champion is the built-in image space's, with its default hyperparameters and one epoch of training.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from images import write_images
from PIL import Image
from report import Report, median, say
from tiny_study import workplace
from turns import Contestant, run_in_turns

from tuner import api
from tuner.spec.reading import validate_spec

_TUNER = Path(sys.executable).with_name("tuner")
_LOOP = Path(__file__).with_name("plain_loop.py")
_WAYS = ("tuner", "pillow", "dataset")


def main() -> None:
    options = _options()
    report = Report("predict_folder", f"Predicting {options.images} images of {options.side} by {options.side} pixels")
    taken: dict[str, list[float]] = {way: [] for way in _WAYS}
    with workplace() as folder:
        say(f"writing {options.images} images, training and exporting a champion ...")
        _write_files(folder / "new", options.images, options.side)
        _export(folder, options.size)
        for repeat in range(options.repeats):
            say(f"{repeat + 1} of {options.repeats}: all of them, in turns ...")
            for way, seconds in _run_all(folder, folder / str(repeat)).items():
                taken[way].append(seconds)
    for way in _WAYS:
        ratios = [ours / theirs for ours, theirs in zip(taken["tuner"], taken[way], strict=True)]
        report.add(
            way=way,
            median_seconds=median(taken[way]),
            images_a_second=round(options.images / median(taken[way])),
            tuner_takes=round(median(ratios), 3),
            of_each_repeat=" ".join(f"{ratio:.3f}" for ratio in ratios),
        )
    report.facts["aim"] = "tuner takes at most 1.0 of what either loop takes"
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000, help="half of them JPEG, half PNG")
    parser.add_argument("--side", type=int, default=96, help="of the images, in pixels")
    parser.add_argument("--size", type=int, default=32, help="that the champion resizes to")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _write_files(folder: Path, count: int, side: int) -> None:
    """Smooth colours with some noise, which compress about as well as photographs."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for index in range(count):
        coarse = Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float64)
        pixels = (smooth + draw.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:06d}{('.jpg', '.png')[index % 2]}")


def _export(folder: Path, size: int) -> None:
    spec = {
        "study": "bench",
        "data": {
            "kind": "image_directory",
            "path": str(write_images(folder / "images", per_class=40, side=size)),
            "image_size": [size, size],
        },
        "space": "image",
        "objective": "val_accuracy",
        "trials": 1,
        "pruner": "none",
        "training": {"epochs": 1, "early_stopping": None},
        "artifacts": str(folder / "artifacts"),
    }
    url = f"sqlite:///{folder / 'tuner.db'}"
    api.launch(validate_spec(spec, source="benchmark", base=folder), storage=url)
    api.export_champion("bench", folder / "champion", storage=url)


def _run_all(data: Path, folder: Path) -> dict[str, float]:
    """The seconds that each way took, after a look at their answers."""
    loop = [sys.executable, str(_LOOP)]
    commands = {
        "tuner": [str(_TUNER), "predict", "../../champion", "../../new", "--format", "jsonl", "--output", "out.jsonl"],
        "pillow": [*loop, "pillow", "../../champion", "../../new", "out.jsonl"],
        "dataset": [*loop, "dataset", "../../champion", "../../new", "out.jsonl"],
    }
    contestants = {way: _start(commands[way], folder / way) for way in _WAYS}
    run_in_turns(list(contestants.values()))
    files = sorted(file.name for file in (data / "new").iterdir())
    for way in _WAYS:
        found = [json.loads(line) for line in (folder / way / "out.jsonl").read_text().splitlines()]
        if [Path(each["file"]).name for each in found] != files or any(each.get("error") for each in found):
            raise SystemExit(f"{way} has not predicted every file: see what it wrote to {folder / way}")
    return {way: contestant.seconds for way, contestant in contestants.items()}


def _start(command: Sequence[str], folder: Path) -> Contestant:
    folder.mkdir(parents=True)
    return Contestant(command, folder, dict(os.environ))


if __name__ == "__main__":
    main()
