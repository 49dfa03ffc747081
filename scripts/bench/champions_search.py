"""A search with every default, its champion, and what it predicts: by the commands that people use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from champions_scores import Score, score
from champions_sets import Divided

_TUNER = "from tuner.cli import main; main()"
_COMPLETE = re.compile(r"trial \d+\s+complete")


@dataclass(frozen=True)
class Searched:
    """What came of a search.

    Attributes:
        seconds: from its launch to its champion.
        first_seconds: from its launch to the end of its first trial.
        trials: that were completed or pruned.
    """

    score: Score
    seconds: float
    first_seconds: float | None
    trials: int


def search(files: Divided, folder: Path, minutes: float, seed: int) -> Searched:
    """Launches, exports and predicts, each in processes of its own.

    Raises:
        subprocess.CalledProcessError: a command failed; its output is in ``folder``.
    """
    folder.mkdir(parents=True)
    spec = files.spec(seed=seed, timeout=f"{minutes * 60:.0f}s", trials=500)
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    began = time.monotonic()
    first = _launched(folder)
    _tuner(folder, "export", files.data.name, "--to", "champion")
    seconds = time.monotonic() - began
    trials = json.loads(_tuner(folder, "best", files.data.name, "-k", "500", "--format", "json"))
    return Searched(_tested(files, folder), seconds, first, len(trials))


def _launched(folder: Path) -> float | None:
    """Seconds until the first trial was complete."""
    began, first = time.monotonic(), None
    command = [sys.executable, "-c", _TUNER, "launch", "spec.yaml"]
    with (folder / "launch.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if first is None and _COMPLETE.match(line):
                first = time.monotonic() - began
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)
    return first


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"TUNER_STORAGE": f"sqlite:///{folder.resolve() / 'tuner.db'}"}


def _tuner(folder: Path, *arguments: str) -> str:
    with (folder / f"{arguments[0]}.log").open("w") as log:
        ran = subprocess.run(
            [sys.executable, "-c", _TUNER, *arguments],
            cwd=folder,
            env=_environment(folder),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=True,
        )
    return ran.stdout


def _tested(files: Divided, folder: Path) -> Score:
    data = files.data
    if data.kind == "image":
        paths = sorted(each for each in files.test.glob("*/*") if each.is_file())
        answers = json.loads(_tuner(folder, "predict", "champion", str(files.test), "--format", "json"))
        by_file = {Path(each["file"]).resolve(): each for each in answers}
        predicted = [by_file[each.resolve()]["label"] for each in paths]
        return score("accuracy", np.array([each.parent.name for each in paths]), np.array(predicted))
    truth = pd.read_csv(files.test, dtype=str if data.measure != "rmse" else None)[data.target].to_numpy()
    inputs = folder / "inputs.csv"
    pd.read_csv(files.test, dtype=str, keep_default_na=False).drop(columns=data.target).to_csv(inputs, index=False)
    answers = json.loads(_tuner(folder, "predict", "champion", str(inputs), "--format", "json"))
    if data.measure == "accuracy":
        return score("accuracy", truth, np.array([each["label"] for each in answers]))
    if data.measure == "rmse":
        return score("rmse", truth, np.array([np.ravel(each["value"])[0] for each in answers]))
    second = sorted(set(truth))[1]
    shares = [each["probability"] if each["label"] == second else 1 - each["probability"] for each in answers]
    return score("auc", truth == second, np.array(shares))
