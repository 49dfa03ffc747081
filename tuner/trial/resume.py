"""The resume checkpoint: everything that training needs to go on from the end of an epoch as if nothing had happened.

A ``.keras`` file would not do: it loses the state of SeedGenerators. Here every variable of the model and its
optimizers is kept by position, with the callbacks' state and the random generators'. What no file can hold is the state
of TensorFlow's own random ops (``tf.random``): a model that draws from them goes on with other draws.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator

from storage.artifacts import StudyArtifacts, resume_file
from storage.errors import ArtifactsUnavailable
from tuner.trial.state import ModelState, OptimizerState


@dataclass(frozen=True)
class Epoch:
    """What one epoch logged, and the seconds that it took."""

    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Ended:
    """What an execution has achieved: its value, see ``worth``, and the metrics of its best epoch alone."""

    value: float
    best_epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Progress:
    """What a trial has achieved, besides its variables. Its executions follow each other; epochs count on from 1.

    Attributes:
        history: every epoch so far: what the database does not have of them can be told again.
        ended: the executions before this one.
        starts: the epochs trained before each execution, up to this one.
        best_epoch: this execution's epoch with the best objective, 0 before the first.
        best_value: the objective there, see ``worth``.
        best_metrics: all metrics of that epoch.
        callbacks: the state of stateful callbacks, by their place and class name.
        stopping: a callback ended the training with this epoch.
        planned: the epochs that the last ``fit`` was for; 0 where none has begun.
    """

    history: tuple[Epoch, ...] = ()
    ended: tuple[Ended, ...] = ()
    starts: tuple[int, ...] = (0,)
    best_epoch: int = 0
    best_value: float | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopping: bool = False
    planned: int = 0

    @property
    def epoch(self) -> int:
        """Epochs trained, in all executions."""
        return len(self.history)

    @property
    def execution(self) -> int:
        return len(self.ended)

    @property
    def trained(self) -> int:
        """Epochs trained in this execution."""
        return self.epoch - self.starts[-1]

    @property
    def all_ended(self) -> tuple[Ended, ...]:
        """With this execution, once it has a best epoch."""
        if self.best_value is None:
            return self.ended
        return (*self.ended, Ended(self.best_value, self.best_epoch, self.best_metrics))

    def execution_of(self, epoch: int) -> int:
        return bisect_left(self.starts, epoch) - 1

    def next_execution(self) -> Progress:
        """The beginning of the execution after this one."""
        return Progress(history=self.history, ended=self.all_ended, starts=(*self.starts, self.epoch))

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Progress:
        lists = {
            "history": tuple(Epoch(**epoch) for epoch in stored["history"]),
            "ended": tuple(Ended(**ended) for ended in stored["ended"]),
            "starts": tuple(stored["starts"]),
        }
        return cls(**stored | lists)


@dataclass(frozen=True)
class Snapshot:
    """The end of an epoch, in host memory.

    Attributes:
        state: of the model and its optimizers.
        best: the model's variables as the validation of this execution's best epoch saw them; empty before the first.
        randomness: of Python, NumPy and Keras, as JSON.
        champion: the variables of the best model of the executions before this one.
    """

    progress: Progress
    state: ModelState
    best: list[np.ndarray]
    randomness: dict[str, Any]
    champion: list[np.ndarray] = field(default_factory=list)


def random_state() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
        "keras": _unseeded_state(),
    }


def _unseeded_state() -> list[int] | None:
    """Of the generator that Keras's random ops use without a seed of their own; None unless one did."""
    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    return None if generator is None else keras.ops.convert_to_numpy(generator.state).tolist()


def restore_random_state(state: dict[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    if state["keras"] is not None:
        seed_generator.global_seed_generator().state.assign(state["keras"])


def write(file: Path, snapshot: Snapshot) -> None:
    """Raises OSError: the disk is full, for example."""
    optimizers = snapshot.state.optimizers
    header = json.dumps(
        {
            "progress": asdict(snapshot.progress),
            "randomness": snapshot.randomness,
            "best": len(snapshot.best),
            "optimizers": [None if each is None else each.built_for for each in optimizers],
        }
    )
    arrays = {"header": np.frombuffer(header.encode(), dtype=np.uint8)}
    arrays |= _named("v", snapshot.state.variables)
    for index, each in enumerate(optimizers):
        arrays |= _named(f"o{index}.", each.variables if each else [])
    arrays |= _unlike("b", snapshot.best, snapshot.state.variables)
    arrays |= _named("c", snapshot.champion)
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes any keyword for allow_pickle


def read(file: Path) -> Snapshot:
    """Raises ValueError or another Exception for a file that ``write`` did not write."""
    with np.load(file, allow_pickle=False) as stored:
        header = json.loads(stored["header"].tobytes())
        progress = Progress.from_json(header["progress"])
        variables, champion = (_numbered(stored, letter) for letter in "vc")
        # Earlier versions did not write it.
        count = header.get("best", len(variables) if progress.best_epoch else 0)
        best = _with_the_like(stored, "b", count, variables)
        optimizers = tuple(
            None if built_for is None else OptimizerState(tuple(built_for), _numbered(stored, f"o{index}."))
            for index, built_for in enumerate(header["optimizers"])
        )
    return Snapshot(progress, ModelState(variables, optimizers), best, header["randomness"], champion)


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


def _named(prefix: str, values: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}{index}": value for index, value in enumerate(values)}


def _unlike(prefix: str, values: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Those values, by name, that differ from what has the same place among the others."""
    named = zip_longest(_named(prefix, values).items(), others[: len(values)])
    return {name: value for (name, value), other in named if other is None or not np.array_equal(value, other)}


def _with_the_like(stored: Any, prefix: str, count: int, others: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What ``_unlike`` was given."""
    names = [f"{prefix}{index}" for index in range(count)]
    return [stored[name] if name in stored.files else others[index] for index, name in enumerate(names)]


def _numbered(stored: Any, prefix: str) -> list[np.ndarray]:
    numbers = [name.removeprefix(prefix) for name in stored.files if name.startswith(prefix)]
    return [stored[f"{prefix}{number}"] for number in sorted(int(text) for text in numbers if text.isdigit())]
