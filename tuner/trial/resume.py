"""The resume checkpoint: everything that training needs to go on from the end of an epoch as if nothing had happened.

A ``.keras`` file would not do: it loses the state of SeedGenerators. Here every variable of the model and its optimizer
is kept by position, with the callbacks' state and the random generators'.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from storage.artifacts import StudyArtifacts, resume_file
from storage.errors import ArtifactsUnavailable


@dataclass(frozen=True)
class Epoch:
    """What one epoch logged, and the seconds that it took."""

    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Progress:
    """What a trial has achieved, besides its variables.

    Attributes:
        history: every epoch so far: what the database does not have of them can be told again.
        best_epoch: the epoch with the best objective, 0 before the first.
        best_value: the objective there.
        best_metrics: all metrics of that epoch.
        callbacks: the state of stateful callbacks, by class name.
        stopping: a callback ended the training with this epoch.
    """

    history: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    best_value: float | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopping: bool = False

    @property
    def epoch(self) -> int:
        """Epochs trained."""
        return len(self.history)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Progress:
        return cls(**stored | {"history": tuple(Epoch(**epoch) for epoch in stored["history"])})


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


def write(file: Path, snapshot: Snapshot) -> None:
    """Raises OSError: the disk is full, for example."""
    header = json.dumps({"progress": asdict(snapshot.progress), "randomness": snapshot.randomness})
    arrays = {"header": np.frombuffer(header.encode(), dtype=np.uint8)}
    arrays |= {f"v{i}": value for i, value in enumerate(snapshot.variables)}
    if snapshot.progress.best_epoch != snapshot.progress.epoch:
        arrays |= {f"b{i}": value for i, value in enumerate(snapshot.best)}
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes any keyword for allow_pickle


def read(file: Path) -> Snapshot:
    """Raises ValueError or another Exception for a file that ``write`` did not write."""
    with np.load(file, allow_pickle=False) as stored:
        header = json.loads(stored["header"].tobytes())
        progress = Progress.from_json(header["progress"])
        variables = _numbered(stored, "v")
        best = _numbered(stored, "b")
    return Snapshot(progress, variables, best, header["randomness"])


def read_first(artifacts: StudyArtifacts, keys: Sequence[str]) -> Snapshot | None:
    """The first snapshot that can be read whole. Each one that is torn or missing is passed over, and that is said.

    Raises:
        ArtifactsUnavailable: the store is away, so nothing is known about them.
    """
    for key in keys:
        file = resume_file(key)
        try:
            if file is None:
                raise ValueError("this is not the name of a resume checkpoint")
            with artifacts.fetched(file.artifact) as path:
                return read(path)
        except ArtifactsUnavailable:
            raise
        except Exception as error:
            # A file of another version shows as KeyError, TypeError, ValueError or BadZipFile, depending on the place.
            print(f"resume checkpoint cannot be read ({error}); trying the one before it")
    if keys:
        print("no resume checkpoint can be read; training starts again")
    return None


def _numbered(stored: Any, letter: str) -> list[np.ndarray]:
    names = sorted(
        (name for name in stored.files if name[0] == letter and name[1:].isdigit()),
        key=lambda name: int(name[1:]),
    )
    return [stored[name] for name in names]
