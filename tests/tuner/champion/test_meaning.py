"""What a model's outputs mean, and its own metrics on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tuner.champion.clean_inference import needs_custom_objects
from tuner.champion.probabilities import OutputMeaning, output_meaning
from tuner.champion.scoring import compiled_metrics
from tuner.errors import ExportError


def _model(units: int, loss: Any, activation: str | None = None, **layer: Any) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation=activation, **layer),
        ]
    )
    model.compile("sgd", loss, metrics=["accuracy", keras.metrics.AUC(from_logits=True)])
    return model


@pytest.mark.parametrize(
    ("units", "loss", "classes", "activation"),
    [
        (3, "sparse_categorical_crossentropy", 3, "none"),
        (3, keras.losses.SparseCategoricalCrossentropy(from_logits=True), 3, "softmax"),
        (3, keras.losses.CategoricalCrossentropy(from_logits=True), 3, "softmax"),
        (3, [keras.losses.CategoricalFocalCrossentropy(from_logits=True)], 3, "softmax"),
        (3, keras.losses.BinaryCrossentropy(from_logits=True), 3, "sigmoid"),
        (1, keras.losses.BinaryCrossentropy(from_logits=True), 2, "sigmoid"),
        (1, "binary_crossentropy", 2, "none"),
    ],
)
def test_the_loss_says_what_the_outputs_are(units: int, loss: Any, classes: int, activation: str) -> None:
    meaning = output_meaning(_model(units, loss), (4, 4, 3), classes)
    assert (meaning.units, meaning.activation) == (units, activation)


@pytest.mark.parametrize(("units", "classes"), [(1, 3), (4, 3), (2, 3)])
def test_other_numbers_of_outputs_are_refused(units: int, classes: int) -> None:
    with pytest.raises(ExportError, match=f"{units} numbers for {classes} classes"):
        output_meaning(_model(units, "mse"), (4, 4, 3), classes)


def test_outputs_of_other_shapes_are_refused() -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(3, 1)])
    model.compile("sgd", "mse")
    with pytest.raises(ExportError, match=r"not \(batch, classes\) but shape \(1, 4, 4, 3\)"):
        output_meaning(model, (4, 4, 3), 3)


def test_probabilities_of_each_kind() -> None:
    logits = tf.constant([[0.0, np.log(3.0)]], tf.float16)
    softmax = OutputMeaning(2, "softmax").probabilities(logits)
    assert softmax.dtype == tf.float32
    np.testing.assert_allclose(softmax, [[0.25, 0.75]], atol=1e-3)
    one = OutputMeaning(1, "sigmoid").probabilities(tf.constant([[0.0], [100.0]]))
    np.testing.assert_allclose(one, [[0.5, 0.5], [0.0, 1.0]], atol=1e-6)
    plain = OutputMeaning(1, "none").probabilities(tf.constant([[0.75]]))
    np.testing.assert_allclose(plain, [[0.25, 0.75]])


def test_compiled_metrics_are_those_of_evaluate() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    images = rng.random((37, 4, 4, 3), np.float32)
    labels = rng.integers(0, 2, 37)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction="sum")
    model = _model(1, loss, kernel_regularizer=keras.regularizers.L2(0.1))
    expected = model.evaluate(images, labels, batch_size=8, return_dict=True, verbose=0)
    outputs = model.predict(images, verbose=0)
    found = compiled_metrics(model, outputs, labels, 8)
    assert found == pytest.approx(expected, rel=1e-5)
    again = compiled_metrics(model, outputs, labels, 8)
    assert again == found


@keras.saving.register_keras_serializable("tests")
class Squaring(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs**2


@keras.saving.register_keras_serializable("tests")
def swish_twice(inputs: Any) -> Any:
    return keras.ops.silu(keras.ops.silu(inputs))


def test_which_models_need_code_of_their_author(tmp_path: Path) -> None:
    plain = _model(1, keras.losses.BinaryCrossentropy(from_logits=True), activation="relu")
    layer = keras.Sequential([keras.Input((4,)), Squaring()])
    function = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation=swish_twice)])
    found = {}
    for name, model in {"plain": plain, "layer": layer, "function": function}.items():
        model.save(tmp_path / f"{name}.keras")
        found[name] = needs_custom_objects(str(tmp_path / f"{name}.keras"))
    assert found == {"plain": False, "layer": True, "function": True}
