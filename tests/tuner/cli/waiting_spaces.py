"""Search spaces whose trials wait for a file, so that a test decides when they end.

A trial calls ``fit`` with a listener for its worker's stop among the callbacks: that tells it from the preflight.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from tuner.trial.callbacks import StopListener


def _model() -> keras.Model:
    layers = [keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class UntilGate(keras_tuner.HyperModel):
    """Short epochs until the file ``gate`` is there."""

    def __init__(self, gate: str) -> None:
        super().__init__()
        self._gate = Path(gate)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Float("rate", 0.001, 0.01)
        return _model()

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        def look(epoch: int, logs: Any = None) -> None:
            model.stop_training = model.stop_training or self._gate.exists()

        def linger(batch: int, logs: Any = None) -> None:
            time.sleep(0.05)

        kwargs["callbacks"] = [
            *kwargs["callbacks"],
            keras.callbacks.LambdaCallback(on_epoch_end=look, on_train_batch_end=linger),
        ]
        return model.fit(*args, **kwargs)


class Deaf(UntilGate):
    """A second epoch that hears nothing until the file ``gate`` is there."""

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        def hang(epoch: int, logs: Any = None) -> None:
            while epoch and not self._gate.exists():
                time.sleep(0.05)

        kwargs["callbacks"] = [*kwargs["callbacks"], keras.callbacks.LambdaCallback(on_epoch_begin=hang)]
        return model.fit(*args, **kwargs)


class FailsInTrials(keras_tuner.HyperModel):
    """A bug that the preflight does not meet."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Int("units", 1, 9)
        return _model()

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(callback, StopListener) for callback in kwargs["callbacks"]):
            raise RuntimeError("the second batch was never right")
        return model.fit(*args, **kwargs)
