"""The epochs of a trial beside those of two bare Keras loops, as people write one and without TensorFlow's autotuner.

All three train one network on the same images, in turns, each suspended while the others run. The autotuner's waits
are sporadic, so means of many epochs are compared; the first one, which traces the network, is left out. Aim: a ratio
to the loop without the autotuner of at most 1.05, and of at most 1.02 where an epoch takes 10 s or more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import yaml
from images import CLASSES, write_images
from report import Report, say
from tiny_study import SPACES, workplace
from turns import Contestant, run_in_turns

_HERE = Path(__file__).parent
_LAUNCH = "from tuner.cli import main; main()"
WAYS = ("trial", "bare", "bare_without_autotuner")


def main() -> None:
    options = _options()
    report = Report("epochs", f"Mean of {options.epochs - 1} epochs, without the first")
    for per_class in options.per_class:
        with workplace() as folder:
            say(f"{CLASSES * per_class} images: a trial and two bare loops, in turns ...")
            report.add(**_compared(folder, per_class, options))
    report.facts |= {"aim": "wall ratio to the loop without the autotuner at most 1.05, from 10 s an epoch on 1.02"}
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-class", type=int, nargs="+", default=[120, 220, 360, 2400], help="training images")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--turn", type=float, default=20.0, help="seconds that each runs at a time")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _compared(folder: Path, per_class: int, options: argparse.Namespace) -> dict[str, Any]:
    data = {name: str(folder / name) for name in ("train", "validation")}
    write_images(folder / "train", per_class, side=32, seed=1)
    write_images(folder / "validation", max(1, per_class // 5), side=32, seed=2)
    for way in WAYS:
        (folder / way).mkdir()
    running = (
        _trial(folder / WAYS[0], data, options),
        _bare(folder / WAYS[1], data, options, autotuned=True),
        _bare(folder / WAYS[2], data, options, autotuned=False),
    )
    run_in_turns(running, options.turn)
    means = [_means(folder / way / "clock", ran, options.epochs) for way, ran in zip(WAYS, running, strict=True)]
    wall, cpu = zip(*means, strict=True)
    return {
        "images": CLASSES * per_class,
        **{f"{way}_seconds": seconds for way, seconds in zip(WAYS, wall, strict=True)},
        "ratio_to_bare": wall[0] / wall[1],
        "ratio_without_autotuner": wall[0] / wall[2],
        "cpu_ratio_without_autotuner": cpu[0] / cpu[2],
    }


def _means(clock: Path, ran: Contestant, epochs: int) -> tuple[float, float]:
    """Wall and CPU seconds of an epoch."""
    # Of a trial the first line is the preflight's.
    ends = [json.loads(line) for line in clock.read_text().splitlines()][-epochs:]
    wall = [ran.passed(after["at"]) - ran.passed(before["at"]) for before, after in pairwise(ends)]
    return sum(wall) / len(wall), (ends[-1]["cpu"] - ends[0]["cpu"]) / len(wall)


def _bare(folder: Path, data: dict[str, str], options: argparse.Namespace, *, autotuned: bool) -> Contestant:
    order = {
        **data,
        "trials": 1,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "threads": _cores(),
        "autotuned": autotuned,
        "clock": str(folder / "clock"),
    }
    (folder / "order.json").write_text(json.dumps(order))
    return Contestant(
        [sys.executable, str(_HERE / "bare_loop.py"), "order.json", "result.json"], folder, dict(os.environ)
    )


def _trial(folder: Path, data: dict[str, str], options: argparse.Namespace) -> Contestant:
    space = {"name": f"{SPACES}:FixedConfigurations", "side": 32, "notes": str(folder / "notes")}
    spec = {
        "study": "bench",
        "data": {"kind": "image_directory", **data, "image_size": [32, 32]},
        "space": space | {"clock": str(folder / "clock")},
        "objective": "val_accuracy",
        "trials": 1,
        "pruner": "none",
        "training": {"epochs": options.epochs, "batch_size": options.batch_size, "early_stopping": None},
        "resources": {"slots": 1, "threads_per_slot": _cores()},
    }
    (folder / "bench.yaml").write_text(yaml.safe_dump(spec))
    environment = {name: value for name, value in os.environ.items() if name != "TUNER_STORAGE"}
    return Contestant([sys.executable, "-c", _LAUNCH, "launch", "bench.yaml"], folder, environment)


def _cores() -> int:
    return len(psutil.Process().cpu_affinity() or ()) or 1


if __name__ == "__main__":
    main()
