"""Search spaces whose models go beyond `compile` and `fit`, as Keras's guides write them. Images are 8 by 8, grey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from search_spaces.image import ImageSpace
from search_spaces.images.config import Augmentation, ImageConfig, Network

SHAPE, CLASSES, LATENT = (8, 8, 1), 3, 4


class Gan(keras.Model):
    """Of the guide "Customizing fit() with TensorFlow": two optimizers, no call, no test_step."""

    def __init__(self, discriminator: keras.Model, generator: keras.Model, latent: int) -> None:
        super().__init__()
        self.discriminator, self.generator, self.latent = discriminator, generator, latent
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")
        self.seed_generator = keras.random.SeedGenerator(1337)
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.d_loss_tracker, self.g_loss_tracker]

    def compile(self, d_optimizer: Any, g_optimizer: Any, loss_fn: Any) -> None:
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    def _noise(self, batch: Any) -> Any:
        return keras.random.normal((batch, self.latent), seed=self.seed_generator)

    def train_step(self, data: Any) -> dict[str, Any]:
        real = data[0] if isinstance(data, tuple) else data
        batch = tf.shape(real)[0]
        images = tf.concat([self.generator(self._noise(batch)), real / 255], axis=0)
        labels = tf.concat([tf.ones((batch, 1)), tf.zeros((batch, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(images))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply(tape.gradient(d_loss, weights), weights)
        with tf.GradientTape() as tape:
            made = self.generator(self._noise(batch))
            g_loss = self.loss_fn(tf.zeros((batch, 1)), self.discriminator(made))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)
        self.d_loss_tracker.update_state(d_loss)
        self.g_loss_tracker.update_state(g_loss)
        return {"d_loss": self.d_loss_tracker.result(), "g_loss": self.g_loss_tracker.result()}


@keras.saving.register_keras_serializable("tests")
class Saveable(Gan):
    def get_config(self) -> dict[str, Any]:
        return {"discriminator": self.discriminator, "generator": self.generator, "latent": self.latent}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Saveable:
        return cls(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})


def gan(rate: float = 0.01, kind: type[Gan] = Saveable) -> Gan:
    discriminator = keras.Sequential([keras.layers.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(1)])
    generator = keras.Sequential(
        [
            keras.layers.Input((LATENT,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(64, activation="sigmoid"),
            keras.layers.Reshape(SHAPE),
        ]
    )
    model = kind(discriminator, generator, LATENT)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), keras.optimizers.Adam(rate / 2), loss)
    return model


class GanSpace(keras_tuner.HyperModel):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return gan(hp.Float("rate", 1e-3, 1e-1, sampling="log", default=0.01))


class UnsaveableSpace(keras_tuner.HyperModel):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return gan(kind=Gan)


class Noisy(keras.Model):
    """Nothing is built before the first call; optimizers in a dict, SeedGenerators in a list, and an unseeded draw."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(6, activation="relu")
        self.outputs_ = keras.layers.Dense(CLASSES)
        self.noise = [keras.random.SeedGenerator(1), {"more": keras.random.SeedGenerator(2)}]
        self.optimizers = {"hidden": [keras.optimizers.Adam(0.01)], "out": keras.optimizers.SGD(0.01, momentum=0.9)}

    def call(self, images: Any, training: bool = False) -> Any:
        pixels = keras.ops.reshape(images, (-1, 64)) / 255
        if training:
            for seed in (self.noise[0], self.noise[1]["more"], None):
                pixels += keras.random.normal(keras.ops.shape(pixels), stddev=0.1, seed=seed)
        return self.outputs_(self.hidden(pixels))

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            predictions = self(x, training=True)
            loss = self.compute_loss(x, y, predictions)
        for name, layer in (("hidden", self.hidden), ("out", self.outputs_)):
            weights = layer.trainable_weights
            optimizer = self.optimizers[name][0] if name == "hidden" else self.optimizers[name]
            optimizer.apply(tape.gradient(loss, weights), weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, predictions)
        return {**self.get_metrics_result(), "by_class": tf.zeros((CLASSES,))}


class NoisySpace(keras_tuner.HyperModel):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = Noisy()
        model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        return model


def classifier() -> keras.Model:
    inputs = keras.layers.Input(SHAPE)
    hidden = keras.layers.Dense(6, activation="relu")(keras.layers.Flatten()(inputs / 255))
    outputs = keras.layers.Dense(CLASSES)(keras.layers.Dropout(0.3)(hidden))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


class Plain(keras_tuner.HyperModel):
    """Under mixed precision its optimizer is wrapped into a LossScaleOptimizer."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return classifier()


class Eager(Plain):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = classifier()

        def eager(labels: Any, predictions: Any) -> Any:
            return tf.ones_like(predictions[:, 0]) * float(tf.executing_eagerly())

        model.compile("sgd", model.loss, metrics=["accuracy", eager])
        return model


class Recompiles(Plain):
    """A `fit` that begins with a new optimizer."""

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.RMSprop(0.01, momentum=0.9), loss, metrics=["accuracy"])
        return model.fit(*args, **kwargs)


class Returns(Plain):
    """A `fit` of its own; `passes` its callbacks on or not, and returns a `result` of some kind."""

    def __init__(self, passes: bool, result: str) -> None:
        super().__init__()
        self._passes, self._result = passes, result

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if not self._passes:
            kwargs["callbacks"] = []
        history = model.fit(*args, **kwargs)
        return {"history": history, "dict": {"score": 0.25, "more": 1}, "float": 0.25, "none": None}[self._result]


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    def call(self, values: Any) -> Any:
        return values * 2


@keras.saving.register_keras_serializable("tests")
def shortfall(wanted: Any, given: Any) -> Any:
    return keras.ops.mean(keras.ops.relu(wanted - given), axis=-1)


@keras.saving.register_keras_serializable("tests")
class Largest(keras.metrics.Metric):
    def __init__(self, name: str = "largest", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.found = self.add_weight(name="found", initializer="zeros")

    def update_state(self, wanted: Any, given: Any, sample_weight: Any = None) -> None:
        self.found.assign(keras.ops.maximum(self.found, keras.ops.max(given)))

    def result(self) -> Any:
        return self.found


class Several(keras_tuner.HyperModel):
    """Two inputs and two outputs, dicts or tuples, with a layer, a loss and a metric of its own."""

    def __init__(self, names: bool) -> None:
        super().__init__()
        self._names = names

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        numbers = keras.layers.Input((3,), name="numbers")
        kind = keras.layers.Input((), dtype="int64", name="kind")
        embedded = keras.layers.Embedding(4, 2)(kind)
        hidden = Doubled()(keras.layers.Dense(4)(keras.layers.Concatenate()([numbers, embedded])))
        colour = keras.layers.Dense(CLASSES, "softmax", name="colour")(hidden)
        weight = keras.layers.Dense(1, name="weight")(hidden)
        losses = {"colour": "sparse_categorical_crossentropy", "weight": shortfall}
        metrics = {"colour": ["accuracy"], "weight": [Largest()]}
        if self._names:
            model = keras.Model({"numbers": numbers, "kind": kind}, {"colour": colour, "weight": weight})
            model.compile("adam", loss=losses, metrics=metrics)
        else:
            model = keras.Model([numbers, kind], [colour, weight])
            model.compile("adam", loss=[*losses.values()], metrics=[*metrics.values()])
        return model


class Written(keras.callbacks.Callback):
    """Remembers what it was made for, adds a metric, and counts epochs over resumptions."""

    def __init__(self, context: Any) -> None:
        super().__init__()
        self._context, self._epochs = context, 0

    def get_state(self) -> dict[str, Any]:
        return {"epochs": self._epochs}

    def set_state(self, state: dict[str, Any]) -> None:
        self._epochs = state["epochs"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._epochs += 1
        logs["counted"] = self._epochs
        with open(self._context.folder / "made.txt", "a") as file:
            file.write(f"{self._context.trial} {self._context.execution} {self._epochs}\n")


def patient() -> keras.callbacks.Callback:
    return keras.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=10.0, cooldown=0)


def nothing() -> None:
    return None


class ReturnsNothing(Returns):
    def __init__(self) -> None:
        super().__init__(passes=True, result="none")


class CannotBeTested(keras_tuner.HyperModel):
    """Its own train_step needs no loss of `compile`; the test_step that it has of Keras does."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = LossInside()
        model.compile("sgd")
        return model


class LossInside(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(1)

    def call(self, images: Any) -> Any:
        return self.out(keras.ops.reshape(images, (-1, 64)))

    def train_step(self, data: Any) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self(keras.utils.unpack_x_y_sample_weight(data)[0]) ** 2)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def swapping() -> keras.callbacks.Callback:
    return keras.callbacks.SwapEMAWeights()


def swapping_on_epoch() -> keras.callbacks.Callback:
    return keras.callbacks.SwapEMAWeights(swap_on_epoch=True)


class Averaging(keras.callbacks.Callback):
    """Goes on from the mean of an epoch's weights and those that it began with."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._before = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        pairs = zip(self._before, self.model.get_weights(), strict=True)
        self.model.set_weights([(before + after) / 2 for before, after in pairs])


class Restoring(keras.callbacks.Callback):
    """Undoes every second epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._before = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch % 2:
            self.model.set_weights(self._before)


class Scoring(keras.callbacks.Callback):
    """Scores halved weights, leaves them in the model, and logs the score under the objective's name."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.set_weights([weight / 2 for weight in self.model.get_weights()])
        logs["val_loss"] = float(sum(abs(weight).sum() for weight in self.model.get_weights()))


class Averaged(Plain):
    """An optimizer that averages weights, and a callback by its name, `before` or `after` those that `fit` is given."""

    def __init__(self, callback: str = "", place: str = "before", overwrites: int | None = None) -> None:
        super().__init__()
        self._callback, self._place, self._overwrites = callback, place, overwrites

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = classifier()
        adam = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=self._overwrites)
        model.compile(adam, model.loss, metrics=["accuracy"])
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        own, given = [globals()[self._callback]()] if self._callback else [], kwargs.pop("callbacks")
        callbacks = [*own, *given] if self._place == "before" else [*given, *own]
        return model.fit(*args, callbacks=callbacks, **kwargs)


class Unweighted(keras.Model):
    """Of the guide "Customizing what happens in fit()": its batches have to be pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(1, "sigmoid")

    def call(self, numbers: Any) -> Any:
        return self.out(numbers)

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            predictions = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=predictions)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, predictions)
        return {metric.name: metric.result() for metric in self.metrics}


def elementwise(wanted: Any, given: Any) -> Any:
    """Keras takes it, but not together with weights: (batch, 2)."""
    wanted = keras.ops.cast(keras.ops.reshape(wanted, (-1, 1)), given.dtype)
    return keras.ops.concatenate([(wanted - given) ** 2, keras.ops.abs(wanted - given)], axis=1)


class Rare(keras_tuner.HyperModel):
    """Two classes of numbers of shape (4,), learned in one `way` or another."""

    def __init__(self, way: str = "plain") -> None:
        super().__init__()
        self._way = way

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        if self._way == "hyperparameter":
            hp.Float("class_weight", 1.0, 9.0)
        layers = [keras.layers.Input((4,)), keras.layers.Dense(1, "sigmoid")]
        model = Unweighted() if self._way == "train_step" else keras.Sequential(layers)
        model.compile("sgd", elementwise if self._way == "loss" else "binary_crossentropy", metrics=["accuracy"])
        return model


class RareFit(Rare):
    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if self._way == "loop":
            return {"val_accuracy": float(sum(len(y) for _, y in args[0]))}
        positive = hp.get("class_weight") if self._way == "hyperparameter" else 9.0
        return model.fit(*args, class_weight={0: 1.0, 1: positive}, **kwargs)


class AsksInFit(keras_tuner.HyperModel):
    """Has hyperparameters in its ``fit`` too."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential(
            [
                keras.layers.Input(SHAPE),
                keras.layers.Flatten(),
                keras.layers.Dense(hp.Int("units", 2, 9)),
                keras.layers.Dense(3, "softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        assert hp.Choice("in_fit", [1, 2])
        return model.fit(*args, **kwargs)


class MixedImages(ImageSpace):
    """The smallest network of the built-in space, with everything that only its training has."""

    def configure(self, hp: keras_tuner.HyperParameters) -> ImageConfig:
        config = super().configure(hp)
        return replace(
            config,
            augmentation=Augmentation("horizontal", 0.1, 0.0, 0.0, 0.1, erasing=0.5),
            mixing="cutmix",
            network=Network(stem_stride=1, stages=2, blocks=1, width=8, normalization="batch", activation="relu"),
            optimization=replace(config.optimization, averaged=True, schedule="constant"),
        )
