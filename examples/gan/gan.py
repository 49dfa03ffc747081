"""A GAN of handwritten digits: the one of Keras's guide "Customizing fit() with TensorFlow", as a search space."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import tensorflow as tf
from keras import layers

SIDE, LATENT = 16, 32


@keras.saving.register_keras_serializable("gan")
class Gan(keras.Model):
    """Generator and discriminator, each with an optimizer of its own."""

    def __init__(self, discriminator: keras.Model, generator: keras.Model) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")
        self.distance_tracker = keras.metrics.Mean(name="distance")
        self.seed_generator = keras.random.SeedGenerator(1337)
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.d_loss_tracker, self.g_loss_tracker, self.distance_tracker]

    def compile(self, d_optimizer: Any, g_optimizer: Any, loss_fn: Any) -> None:
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn

    def generate(self, count: Any, training: bool) -> Any:
        noise = keras.random.normal((count, LATENT), seed=self.seed_generator)
        return self.generator(noise, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        real = data
        count = tf.shape(real)[0]
        images = tf.concat([self.generate(count, training=True), real], axis=0)
        labels = tf.concat([tf.ones((count, 1)), tf.zeros((count, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(images, training=True))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply(tape.gradient(d_loss, weights), weights)

        with tf.GradientTape() as tape:
            made = self.generate(count, training=True)
            g_loss = self.loss_fn(tf.zeros((count, 1)), self.discriminator(made, training=True))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)

        self.d_loss_tracker.update_state(d_loss)
        self.g_loss_tracker.update_state(g_loss)
        return {"d_loss": self.d_loss_tracker.result(), "g_loss": self.g_loss_tracker.result()}

    def test_step(self, data: Any) -> dict[str, Any]:
        real = data
        made = self.generate(tf.shape(real)[0], training=False)
        self.distance_tracker.update_state(energy_distance(real / 255, made / 255))
        return {"distance": self.distance_tracker.result()}

    def get_config(self) -> dict[str, Any]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Gan:
        return cls(**{name: keras.saving.deserialize_keras_object(part) for name, part in config.items()})


def energy_distance(some: Any, others: Any) -> Any:
    """How different two samples of images are: 0 for equal distributions, large when all images made look alike."""
    some, others = (tf.reshape(images, (tf.shape(images)[0], -1)) for images in (some, others))
    return 2 * _mean_distance(some, others) - _mean_distance(some, some) - _mean_distance(others, others)


def _mean_distance(some: Any, others: Any) -> Any:
    return tf.reduce_mean(tf.norm(some[:, None] - others[None] + 1e-12, axis=-1))


class GanSpace(keras_tuner.HyperModel):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = Gan(self._discriminator(hp), self._generator(hp))
        # A discriminator that learns much faster than the generator leaves it nothing to learn from.
        rate = hp.Float("rate", 1e-4, 1e-2, sampling="log", default=1e-3)
        share = hp.Float("discriminator_share", 0.1, 2.0, sampling="log", default=0.5)
        beta = hp.Choice("beta_1", [0.0, 0.5, 0.9], default=0.5)
        model.compile(
            d_optimizer=keras.optimizers.Adam(rate * share, beta_1=beta),
            g_optimizer=keras.optimizers.Adam(rate, beta_1=beta),
            loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
        )
        return model

    def _discriminator(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        width = hp.Int("discriminator_width", 8, 64, step=2, sampling="log", default=16)
        return keras.Sequential(
            [
                layers.Input((SIDE, SIDE, 1)),
                layers.Rescaling(1 / 127.5, -1),
                layers.Conv2D(width, 4, strides=2, padding="same"),
                layers.LeakyReLU(0.2),
                layers.Conv2D(2 * width, 4, strides=2, padding="same"),
                layers.LeakyReLU(0.2),
                layers.Flatten(),
                layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.3)),
                layers.Dense(1),
            ],
            name="discriminator",
        )

    def _generator(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        width = hp.Int("generator_width", 8, 64, step=2, sampling="log", default=16)
        return keras.Sequential(
            [
                layers.Input((LATENT,)),
                layers.Dense(4 * 4 * 2 * width),
                layers.LeakyReLU(0.2),
                layers.Reshape((4, 4, 2 * width)),
                layers.Conv2DTranspose(width, 4, strides=2, padding="same"),
                layers.BatchNormalization(),
                layers.LeakyReLU(0.2),
                layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid"),
                layers.Rescaling(255.0),
            ],
            name="generator",
        )

    def export_model(self, model: Gan) -> keras.Model:
        """What the champion is: the generator makes images of numbers drawn from a normal distribution."""
        return model.generator
