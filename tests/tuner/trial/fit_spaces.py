"""Search spaces with a ``fit`` of their own, as KerasTuner's guides and people's code write them."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf


def network() -> keras.Model:
    number = keras.Input((), name="number")
    model = keras.Model({"number": number}, keras.layers.Dense(2, "softmax")(keras.layers.Reshape((1,))(number)))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Witness(keras.callbacks.Callback):
    """Counts epochs and the steps of the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = self.steps = self.tested = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.steps = self.tested = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.tested += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1


class Own(keras_tuner.HyperModel):
    """Gives ``given`` to ``model.fit`` beside what its own ``fit`` was given."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.given = given

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return network()

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, **self.given, **kwargs)


class Arrays(Own):
    def fit(
        self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        self.seen = (x, y, validation_data, kwargs.pop("sample_weight", None))
        kwargs.update(self.given)
        return model.fit(x, y, validation_data=validation_data, callbacks=callbacks, **kwargs)


class ByName(Own):
    def fit(self, hp: Any, model: Any, **kwargs: Any) -> Any:
        return model.fit(**{**kwargs, **self.given})


class TakesLittle(Own):
    """A loop over epochs of its own would take no more than this."""

    def fit(self, hp: Any, model: Any, train: Any) -> Any:
        return model.fit(train)


class Wrapped(Own):
    """Trains by way of another model around the one that it has built."""

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = {"number": keras.Input((), name="number")}
        outer = keras.Model(inputs, model(inputs))
        outer.compile("sgd", "sparse_categorical_crossentropy")
        return outer.fit(*args, batch_size=3, **kwargs)


class Tuned(Own):
    """As the guide "Getting started" tunes what ``fit`` is given."""

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, batch_size=hp.Choice("batch_size", [8, 30]), **kwargs)


class OwnLoop(keras_tuner.HyperModel):
    """The guide "Custom training loop": a model without ``compile``, and the callbacks called by hand."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        inputs = keras.Input((8, 8, 1))
        return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))

    def fit(
        self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        size = hp.Int("batch_size", 8, 16, step=8, default=8)
        training = tf.data.Dataset.from_tensor_slices((x, y)).batch(size)
        validation = tf.data.Dataset.from_tensor_slices(validation_data).batch(size)
        optimizer = keras.optimizers.Adam(hp.Float("rate", 1e-4, 1e-2, sampling="log", default=1e-3))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        mean, best = keras.metrics.Mean(), float("inf")
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(2):
            for images, labels in training:
                with tf.GradientTape() as tape:
                    value = loss(labels, model(images / 255.0))
                gradients = tape.gradient(value, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            for images, labels in validation:
                mean.update_state(loss(labels, model(images / 255.0)))
            reached = float(mean.result().numpy())
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_metric": reached})
            mean.reset_state()
            best = min(best, reached)
        return best


class OwnLoopWithoutCallbacks(OwnLoop):
    """Says what it has reached by returning it alone."""

    def fit(
        self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        scores = model(validation_data[0] / 255.0).numpy()
        return {"my_metric": float(np.mean(scores.argmax(axis=1) != validation_data[1])), "other": 1.0}
