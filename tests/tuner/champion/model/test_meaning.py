"""What a model's outputs mean, and its own metrics on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tuner.champion.clean.keras_file import needs_custom_objects
from tuner.champion.model.metrics import compiled_metrics, with_outputs
from tuner.champion.model.probabilities import OutputMeaning, output_meaning
from tuner.data.prepared import TargetFacts
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


def _meaning(model: keras.Model, classes: int, task: str = "classification") -> OutputMeaning:
    target = TargetFacts(task=task, dtype="int64", class_names=tuple(str(i) for i in range(classes)))
    return output_meaning(model, model(tf.zeros((2, 4, 4, 3)), training=False), target)


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
    meaning = _meaning(_model(units, loss), classes)
    assert (meaning.units, meaning.activation) == (units, activation)


@pytest.mark.parametrize(("units", "classes"), [(1, 3), (4, 3), (2, 3)])
def test_other_numbers_of_outputs_are_refused(units: int, classes: int) -> None:
    with pytest.raises(ExportError, match=f"{units} numbers for {classes} classes"):
        _meaning(_model(units, "mse"), classes)


def test_outputs_of_other_shapes_are_refused() -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(3, 1)])
    model.compile("sgd", "mse")
    with pytest.raises(ExportError, match=r"not \(batch, classes\) but shape \(2, 4, 4, 3\)"):
        _meaning(model, 3)


def test_probabilities_of_each_kind() -> None:
    logits = tf.constant([[0.0, np.log(3.0)]], tf.float16)
    softmax = OutputMeaning(2, "softmax").probabilities(logits)
    assert softmax.dtype == tf.float32
    np.testing.assert_allclose(softmax, [[0.25, 0.75]], atol=1e-3)
    one = OutputMeaning(1, "sigmoid").probabilities(tf.constant([[0.0], [100.0]]))
    np.testing.assert_allclose(one, [[0.5, 0.5], [0.0, 1.0]], atol=1e-6)
    plain = OutputMeaning(1, "none").probabilities(tf.constant([[0.75]]))
    np.testing.assert_allclose(plain, [[0.25, 0.75]])


def test_multi_label_units_are_one_label_each() -> None:
    plain = _meaning(_model(3, "binary_crossentropy"), 3, "multi_label")
    assert plain.is_probabilities
    only = _meaning(_model(1, keras.losses.BinaryCrossentropy(from_logits=True)), 1, "multi_label")
    np.testing.assert_allclose(only.probabilities(tf.constant([[0.0]])), [[0.5]])
    with pytest.raises(ExportError, match="1 numbers for 2 labels"):
        _meaning(_model(1, "mse"), 2, "multi_label")


def _found(model: keras.Model, x: Any, y: Any, weights: Any = None) -> dict[str, float]:
    given = (x, y) if weights is None else (x, y, weights)
    outputs = model.predict(x, verbose=0)
    structure = keras.tree.map_structure(lambda _: 0, outputs)
    dataset = tf.data.Dataset.from_tensor_slices(given).batch(8)
    return compiled_metrics(model, with_outputs(dataset, keras.tree.flatten(outputs), structure))


def test_compiled_metrics_are_those_of_evaluate() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    images = rng.random((37, 4, 4, 3), np.float32)
    labels = rng.integers(0, 2, 37)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction="sum")
    model = _model(1, loss, kernel_regularizer=keras.regularizers.L2(0.1))
    expected = model.evaluate(images, labels, batch_size=8, return_dict=True, verbose=0)
    found = _found(model, images, labels)
    assert found == pytest.approx(expected, rel=1e-5)
    assert _found(model, images, labels) == found


def test_metrics_of_several_outputs_with_weights_and_losses_that_layers_add() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    inputs = {"a": keras.Input((), name="a"), "b": keras.Input((2,), name="b")}
    joined = keras.layers.Concatenate()([keras.layers.Reshape((1,))(inputs["a"]), inputs["b"]])
    hidden = keras.layers.Dense(4, activity_regularizer="l2")(joined)
    outputs = {
        "age": keras.layers.Dense(1, name="age")(hidden),
        "kind": keras.layers.Dense(3, "softmax", name="kind")(hidden),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        loss={"age": "mse", "kind": "sparse_categorical_crossentropy"},
        metrics={"age": ["mae"], "kind": ["accuracy"]},
        weighted_metrics={"age": ["mse"]},
        loss_weights={"age": 0.3, "kind": 1.0},
    )
    x = {"a": rng.random(37, np.float32), "b": rng.random((37, 2), np.float32)}
    y = {"age": rng.random(37, np.float32), "kind": rng.integers(0, 3, 37)}
    weights = rng.random(37, np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(8)
    expected = model.evaluate(dataset, return_dict=True, verbose=0)
    assert {"age_mae", "kind_accuracy", "age_loss", "loss"} <= set(expected)
    assert _found(model, x, y, weights) == pytest.approx(expected, rel=1e-5)


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
