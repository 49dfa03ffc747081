"""A search space whose every state must survive: weights, momentum, batch normalisation, dropout."""

from __future__ import annotations

import threading
import time
from typing import Any

import keras
import keras_tuner

# So that the fastest machine, too, trains long enough to be disrupted, and to write a checkpoint.
_EPOCH_SECONDS = 0.3


class _Pace(keras.callbacks.Callback):
    """No epoch is shorter than ``_EPOCH_SECONDS``."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        threading.Event().wait(max(0.0, self._begun + _EPOCH_SECONDS - time.monotonic()))


class Fragile(keras_tuner.HyperModel):
    """A small convolutional classifier of grey images (side, side, 1) with several hyperparameters.

    Args:
        side: of the images, in pixels.
        classes: how many.
    """

    def __init__(self, side: int = 16, classes: int = 10) -> None:
        super().__init__()
        self._side, self._classes = side, classes

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        filters = hp.Int("filters", 12, 24, step=4)
        dropout = hp.Float("dropout", 0.1, 0.5)
        optimizer = hp.Choice("optimizer", ["adam", "sgd"])
        rate = hp.Float("rate", 1e-3, 2e-2, sampling="log")
        hp.Choice("batch_size", [32, 48, 64])
        model = keras.Sequential(
            [
                keras.layers.Input((self._side, self._side, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.MaxPooling2D(),
                keras.layers.Conv2D(2 * filters, 3, padding="same", activation="relu"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dropout(dropout),
                keras.layers.Dense(self._classes, activation="softmax"),
            ]
        )
        made = keras.optimizers.Adam(rate) if optimizer == "adam" else keras.optimizers.SGD(rate, momentum=0.9)
        model.compile(made, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, callbacks: list[Any], **kwargs: Any
    ) -> Any:
        return model.fit(*args, callbacks=[_Pace(), *callbacks], **kwargs)
