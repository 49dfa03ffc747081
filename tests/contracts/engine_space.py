"""A search space on four numbers per example whose trials go on until a file is there, for tests of engines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner


class UntilGate(keras_tuner.HyperModel):
    def __init__(self, gate: str) -> None:
        super().__init__()
        self._gate = Path(gate)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        layers = [keras.layers.Input((4,)), keras.layers.Dense(2, activation="softmax")]
        model = keras.Sequential(layers)
        rate = hp.Float("rate", 0.001, 0.1, sampling="log")
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        def look(epoch: int, logs: Any = None) -> None:
            model.stop_training = model.stop_training or self._gate.exists()

        def linger(batch: int, logs: Any = None) -> None:
            if not self._gate.exists():
                time.sleep(0.05)

        callbacks = keras.callbacks.LambdaCallback(on_epoch_end=look, on_train_batch_end=linger)
        kwargs["callbacks"] = [*kwargs["callbacks"], callbacks]
        return model.fit(*args, **kwargs)
