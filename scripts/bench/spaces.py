"""Search spaces to measure with, and the models that a bare Keras loop trains too."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from images import CLASSES


@dataclass(frozen=True)
class Configuration:
    """One fixed configuration of ``build_network``."""

    filters: int
    learning_rate: float
    dropout: float


# Equal in cost, so that the order of trials does not matter.
CONFIGURATIONS = tuple(
    Configuration(filters=24, learning_rate=rate, dropout=dropout)
    for rate in (3e-4, 1e-3, 3e-3, 1e-2)
    for dropout in (0.0, 0.2, 0.4)
)


def build_network(configuration: Configuration, side: int) -> keras.Model:
    """A small convolutional classifier of uint8 or float32 images (batch, side, side, 3) in [0, 255]."""
    layers: list[keras.Layer] = [keras.layers.Input((side, side, 3)), keras.layers.Rescaling(1 / 255)]
    for factor in (1, 2, 4):
        filters = configuration.filters * factor
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    layers += [
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(configuration.dropout),
        keras.layers.Dense(CLASSES, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    optimizer = keras.optimizers.Adam(configuration.learning_rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class EpochClock(keras.callbacks.Callback):
    """Notes the end of each epoch: the time in Unix seconds, and the CPU seconds that the process has used.

    Args:
        notes: a file; each epoch appends a line of JSON.
    """

    def __init__(self, notes: str) -> None:
        super().__init__()
        self._notes = Path(notes)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        note(self._notes, at=time.time(), cpu=time.process_time())


class FixedConfigurations(keras_tuner.HyperModel):
    """One hyperparameter, which configuration; a grid search trains each once.

    Args:
        side: of the images, in pixels.
        notes: a file; each trial appends a line of JSON with the CPU seconds that its process has used.
        clock: a file, for an ``EpochClock``.
    """

    def __init__(self, side: int, notes: str, clock: str | None = None) -> None:
        super().__init__()
        self._side = side
        self._notes = Path(notes)
        self._clock = clock

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return build_network(CONFIGURATIONS[hp.Choice("config", list(range(len(CONFIGURATIONS))))], self._side)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if self._clock is not None:
            kwargs["callbacks"] = [EpochClock(self._clock), *kwargs["callbacks"]]
        history = model.fit(*args, **kwargs)
        note(self._notes, epochs=kwargs["epochs"], cpu=time.process_time())
        return history


def note(file: Path, **values: float) -> None:
    """Appends a line of JSON."""
    with file.open("a") as lines:
        lines.write(json.dumps(values) + "\n")


class Tiny(keras_tuner.HyperModel):
    """A model that trains in no time, and a note of when each ``build`` began.

    Args:
        notes: a file; each ``build`` appends a line of JSON with the time in Unix seconds.
    """

    def __init__(self, notes: str | None = None) -> None:
        super().__init__()
        self._notes = Path(notes) if notes else None

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        began = time.time()
        if self._notes is not None:
            note(self._notes, began=began)
        model = keras.Sequential(
            [
                keras.layers.Input((8, 8, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(hp.Int("units", 4, 16)),
                keras.layers.Dense(CLASSES, activation="softmax"),
            ]
        )
        rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
