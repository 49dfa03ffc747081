"""Hypermodels in the manner of KerasTuner's guides and of Keras's examples, and data of their kinds."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from keras import layers, ops


def images(shape: tuple[int, ...] = (8, 8, 1), count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Images and one-hot labels of three classes."""
    noise = np.random.Generator(np.random.PCG64(0))
    return noise.random((count, *shape), "float32"), keras.utils.to_categorical(np.arange(count) % 3, 3)


def coloured() -> tuple[np.ndarray, np.ndarray]:
    return images((8, 8, 3))


def images_alone() -> np.ndarray:
    return images()[0]


def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Without an input layer, and with a hyperparameter for each of its layers."""
    model = keras.Sequential([layers.Flatten()])
    for number in range(hp.Int("layers", 1, 3)):
        model.add(layers.Dense(hp.Int(f"units_{number}", 8, 32, step=8), hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(0.25))
    model.add(layers.Dense(3, "softmax"))
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


class TunesFit(keras_tuner.HyperModel):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return build_model(hp)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, shuffle=hp.Boolean("shuffle"), **kwargs)


class TakesArrays(TunesFit):
    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, x: Any, y: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        if hp.Boolean("normalize"):
            x = layers.Normalization()(x)
        return model.fit(x, y, shuffle=hp.Boolean("shuffle"), **kwargs)


class Autoencoder(keras.Model):
    """Variational: a ``train_step`` that takes images alone, metrics of its own, and no ``call``."""

    def __init__(self, size: int) -> None:
        super().__init__()
        image, code = keras.Input((8, 8, 1)), keras.Input((size,))
        flat = layers.Flatten()(image)
        self.encoder = keras.Model(image, [layers.Dense(size)(flat), layers.Dense(size)(flat)])
        self.decoder = keras.Model(code, layers.Reshape((8, 8, 1))(layers.Dense(64, "sigmoid")(code)))
        self.seeds = keras.random.SeedGenerator(1)
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "reconstruction", "divergence")]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return self.trackers

    def train_step(self, data: Any) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            mean, spread = self.encoder(data)
            drawn = mean + ops.exp(0.5 * spread) * keras.random.normal(ops.shape(mean), seed=self.seeds)
            missed = ops.sum(keras.losses.binary_crossentropy(data, self.decoder(drawn)), axis=(1, 2))
            divergence = -0.5 * ops.sum(1 + spread - ops.square(mean) - ops.exp(spread), axis=1)
            loss = ops.mean(missed) + ops.mean(divergence)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for tracker, value in zip(self.trackers, (loss, ops.mean(missed), ops.mean(divergence)), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def build_autoencoder(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = Autoencoder(hp.Int("size", 2, 4))
    model.compile(optimizer=keras.optimizers.Adam())
    return model
