"""A study of fixed configurations beside a bare Keras loop that trains the same ones. Aim: a ratio of at most 1.10.

Both are whole processes, from their start to their exit. They run in turns of two seconds, each suspended while the
other runs, so that they see the same machine. The breakdown of the study comes from what `tuner launch` prints and from
what `tuner show` says about each trial.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import yaml
from images import CLASSES, write_images
from report import Report, median, say
from tiny_study import SPACES, workplace
from turns import Contestant, run_in_turns

_TUNER = Path(sys.executable).with_name("tuner")
_HERE = Path(__file__).parent


# Phases of a run in their order; the bare loop has neither preflight nor worker.
PHASES = ("start", "preflight", "worker_start", "trials", "between_trials", "end")
_EXPLAINED = {
    "start": "imports; for the bare loop decoding too",
    "preflight": "another process: imports, decoding, one model and one batch",
    "worker_start": "the worker, the forkserver's imports, the data again",
    "trials": "from each trial's start to its end",
    "between_trials": "from a trial's end to the next one's start",
    "end": "from the last trial's end to the exit",
    "whole": "the whole process",
    "median_trial_cpu": "of all threads, from the start to the end of fit; hardly depends on what else runs here",
}

_SUMS = ("whole", "median_trial", "median_trial_cpu")

Seconds = dict[str, float]


def main() -> None:
    options = _options()
    report = Report("overhead", f"{options.trials} fixed configurations, {options.epochs} epochs each")
    bare: list[Seconds] = []
    study: list[Seconds] = []
    with workplace() as folder:
        _write_data(folder, options)
        for repeat in range(options.repeats):
            say(f"{repeat + 1} of {options.repeats}: both, in turns; about half a minute for each configuration ...")
            loop, search = _run_both(folder / str(repeat), folder, options)
            bare.append(loop)
            study.append(search)
    for phase in (*PHASES, *_SUMS):
        report.add(
            phase=phase.replace("_", " "),
            bare_seconds=median([run[phase] for run in bare]),
            study_seconds=median([run[phase] for run in study]),
            what=_EXPLAINED.get(phase, ""),
        )
    ratios = [ours["whole"] / theirs["whole"] for ours, theirs in zip(study, bare, strict=True)]
    report.facts |= {
        "wall_ratio": round(median(ratios), 3),
        "wall_ratio_of_each_pair": [round(ratio, 3) for ratio in ratios],
        "cpu_ratio_of_a_trial": round(_cpu(study) / _cpu(bare), 3),
        "aim": "wall ratio at most 1.10",
        "runs": {"bare": bare, "study": study},
    }
    report.publish(options.json)


def _cpu(runs: list[Seconds]) -> float:
    return median([run["median_trial_cpu"] for run in runs])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12, help="at most 12")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--per-class", type=int, default=400, help="training images of each of the ten classes")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _write_data(folder: Path, options: argparse.Namespace) -> None:
    say(f"writing {CLASSES * options.per_class} training images ...")
    write_images(folder / "train", options.per_class, side=32, seed=1)
    write_images(folder / "validation", max(1, options.per_class // 5), side=32, seed=2)


def _run_both(folder: Path, data: Path, options: argparse.Namespace) -> tuple[Seconds, Seconds]:
    loop, search = folder / "loop", folder / "search"
    loop.mkdir(parents=True)
    search.mkdir()
    contestants = (_start_loop(loop, data, options), _start_study(search, data, options))
    run_in_turns(contestants)
    return _of_loop(loop, contestants[0]), _of_study(search, contestants[1], options)


def _start_loop(folder: Path, data: Path, options: argparse.Namespace) -> Contestant:
    order = {
        "train": str(data / "train"),
        "validation": str(data / "validation"),
        "trials": options.trials,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "threads": _cores(),
    }
    (folder / "order.json").write_text(json.dumps(order))
    command = [sys.executable, str(_HERE / "bare_loop.py"), "order.json", "result.json"]
    return Contestant(command, folder, dict(os.environ))


def _of_loop(folder: Path, ran: Contestant) -> Seconds:
    trials: list[Seconds] = json.loads((folder / "result.json").read_text())
    spans = [(ran.passed(trial["began"]), ran.passed(trial["ended"])) for trial in trials]
    return _phases(ran, spans, [trial["cpu"] for trial in trials], start=spans[0][0], preflight=0.0, worker_start=0.0)


def _start_study(folder: Path, data: Path, options: argparse.Namespace) -> Contestant:
    (folder / "bench.yaml").write_text(yaml.safe_dump(_spec(data, folder / "notes.jsonl", options)))
    # Decoding is part of a study's first start on a node, so no earlier run may have done it.
    return Contestant([str(_TUNER), "launch", "bench.yaml"], folder, _environment(TUNER_CACHE=str(folder / "cache")))


def _of_study(folder: Path, ran: Contestant, options: argparse.Namespace) -> Seconds:
    trials = [_shown(folder, number) for number in range(options.trials)]
    spans = [(ran.passed(_time(trial["started_at"])), ran.passed(_time(trial["ended_at"]))) for trial in trials]
    # The first note is the preflight's.
    cpu = [json.loads(line)["cpu"] for line in (folder / "notes.jsonl").read_text().splitlines()][1:]
    checking, checked = ran.said("Checking"), ran.said("Data:")
    before = {"start": checking, "preflight": checked - checking, "worker_start": spans[0][0] - checked}
    return _phases(ran, spans, cpu, **before)


def _phases(ran: Contestant, spans: list[tuple[float, float]], cpu: list[float], **before: float) -> Seconds:
    lengths = [end - start for start, end in spans]
    return before | {
        "trials": sum(lengths),
        "between_trials": sum(after[0] - ended[1] for ended, after in pairwise(spans)),
        "end": ran.seconds - spans[-1][1],
        "whole": ran.seconds,
        "median_trial": median(lengths),
        "median_trial_cpu": median(cpu),
    }


def _spec(data: Path, notes: Path, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "study": "bench",
        "data": {
            "kind": "image_directory",
            "train": str(data / "train"),
            "validation": str(data / "validation"),
            "image_size": [32, 32],
        },
        "space": {"name": f"{SPACES}:FixedConfigurations", "side": 32, "notes": str(notes)},
        "objective": "val_accuracy",
        "trials": options.trials,
        "sampler": "grid",
        "pruner": "none",
        "training": {"epochs": options.epochs, "batch_size": options.batch_size, "early_stopping": None},
        "resources": {"slots": 1, "threads_per_slot": _cores()},
    }


def _shown(folder: Path, number: int) -> dict[str, Any]:
    command = [str(_TUNER), "show", "bench", str(number), "--format", "json"]
    shown: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=folder))
    return shown


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "TUNER_STORAGE"} | more


def _cores() -> int:
    return len(psutil.Process().cpu_affinity() or ()) or 1


if __name__ == "__main__":
    main()
