"""A KerasTuner hypermodel as its users write them: nothing in it knows of this service."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import numpy as np
import numpy.typing as npt
from keras import layers
from sklearn.datasets import load_digits


def digits() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """scikit-learn's scanned digits: float32 (1797, 8, 8, 1) in [0, 16], and their classes, int64 (1797,)."""
    found = load_digits()
    return found.images[..., None].astype(np.float32), found.target.astype(np.int64)


class Digits(keras_tuner.HyperModel):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        inputs = layers.Input((8, 8, 1))
        x = layers.Rescaling(1 / 16)(inputs)
        kind = hp.Choice("kind", ["dense", "convolutions"], default="convolutions")
        with hp.conditional_scope("kind", ["dense"]):
            if kind == "dense":
                x = layers.Flatten()(x)
                for i in range(hp.Int("layers", 1, 3)):
                    x = layers.Dense(hp.Int(f"units_{i}", 16, 128, step=16, default=64), "relu")(x)
        with hp.conditional_scope("kind", ["convolutions"]):
            if kind == "convolutions":
                for i in range(hp.Int("blocks", 1, 2)):
                    filters = hp.Int(f"filters_{i}", 8, 64, step=8, default=32)
                    x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
                    x = layers.MaxPooling2D()(x)
                x = layers.Flatten()(x)
        x = layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2))(x)
        model = keras.Model(inputs, layers.Dense(10, "softmax")(x))
        with hp.name_scope("optimizer"):
            rate = hp.Float("rate", 1e-4, 1e-2, sampling="log", default=1e-3)
            name = hp.Choice("name", ["adam", "rmsprop"])
        optimizer = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[name](rate)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        # Tuned here rather than in build; callbacks go through to model.fit, so trials are pruned and resumed.
        rare = hp.Float("weight_of_eights", 1.0, 2.0, default=1.0)
        return model.fit(*args, class_weight={digit: rare if digit == 8 else 1.0 for digit in range(10)}, **kwargs)


def reduce_rate() -> keras.callbacks.Callback:
    """A callback for ``training.callbacks``: each trial gets a fresh one."""
    return keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2)
