"""The resume checkpoint: everything that training needs to go on from the end of an epoch as if nothing had happened.

A ``.keras`` file would not do: it loses the state of SeedGenerators. Here every variable of the model and its optimizer
is kept by position, with the callbacks' state and the random generators'.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

_NAME = re.compile(r"resume-(\d+)\.npz")
_KEPT = 2


@dataclass(frozen=True)
class Progress:
    """What a trial has achieved, besides its variables.

    Attributes:
        epoch: epochs trained.
        best_epoch: the epoch with the best objective, 0 before the first.
        best_value: the objective there.
        best_metrics: all metrics of that epoch.
        callbacks: the state of stateful callbacks, by class name.
        stopping: a callback ended the training with this epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopping: bool = False


@dataclass(frozen=True)
class Snapshot:
    """The end of an epoch, in host memory: ``variables`` of model and optimizer, ``best`` of the model at its best
    epoch (the same arrays where that is this epoch), ``randomness`` of Python and NumPy as JSON."""

    progress: Progress
    variables: list[np.ndarray]
    best: list[np.ndarray]
    randomness: dict[str, Any]


def values_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Raises ValueError where the model is not the one that the values came from."""
    if len(variables) != len(values):
        raise ValueError(f"the checkpoint has {len(values)} variables, the model {len(variables)}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def training_variables(model: keras.Model) -> list[keras.Variable]:
    """Every variable of the model and of its optimizer, in an order that rebuilding repeats."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def random_state() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))


def write(folder: Path, snapshot: Snapshot) -> str:
    """Writes a snapshot beside the one before it and gives its file name.

    Raises:
        OSError: the disk is full, for example; what was there before is untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"resume-{snapshot.progress.epoch:06d}.npz"
    header = json.dumps({"progress": asdict(snapshot.progress), "randomness": snapshot.randomness})
    arrays = {"header": np.frombuffer(header.encode(), dtype=np.uint8)}
    arrays |= {f"v{i}": value for i, value in enumerate(snapshot.variables)}
    if snapshot.progress.best_epoch != snapshot.progress.epoch:
        arrays |= {f"b{i}": value for i, value in enumerate(snapshot.best)}
    temporary = folder / f".{name}.writing"
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes any keyword for allow_pickle
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    for old in _files(folder)[:-_KEPT]:
        old.unlink(missing_ok=True)
    return name


def read_latest(folder: Path) -> Snapshot | None:
    """The newest snapshot that can be read whole; a torn one falls back to the one before it, and says so."""
    for file in reversed(_files(folder)):
        try:
            return _read(file)
        except Exception as error:
            # A torn file shows as BadZipFile, EOFError, KeyError, ValueError or zlib's error, depending on the place.
            print(f"resume checkpoint {file.name} cannot be read ({error}); trying the one before it")
    return None


def _read(file: Path) -> Snapshot:
    with np.load(file, allow_pickle=False) as stored:
        header = json.loads(stored["header"].tobytes())
        progress = Progress(**header["progress"])
        variables = _numbered(stored, "v")
        best = _numbered(stored, "b")
    return Snapshot(progress, variables, best, header["randomness"])


def _numbered(stored: Any, letter: str) -> list[np.ndarray]:
    names = sorted(
        (name for name in stored.files if name[0] == letter and name[1:].isdigit()),
        key=lambda name: int(name[1:]),
    )
    return [stored[name] for name in names]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("resume-*.npz") if _NAME.fullmatch(path.name))
