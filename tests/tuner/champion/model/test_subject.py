"""Which model is exported, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from tuner.champion.model.served_outputs import served_outputs
from tuner.champion.model.subject import find_subject, load_trained
from tuner.champion.model.tensors import tensor_names
from tuner.data.prepared import TargetFacts
from tuner.errors import ExportError


class Doubling(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs * 2


class Distance(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


class Hits(keras.metrics.Mean):
    pass


def gap(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(y_true - y_pred))


def squashed(inputs: Any) -> Any:
    return keras.ops.tanh(inputs)


@keras.saving.register_keras_serializable("tests")
class Halves(keras.Model):
    """A model of two parts that cannot be called as a whole."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.generator = keras.Sequential([keras.Input((2,), name="noise"), keras.layers.Dense(3)])


class Plain(keras_tuner.HyperModel):
    pass


class Generating(keras_tuner.HyperModel):
    def export_model(self, model: Any) -> Any:
        return model.generator


class Mistaken(keras_tuner.HyperModel):
    def export_model(self, model: Any) -> Any:
        return "the generator"


def _model(layer: Any = None, loss: Any = "mse", metrics: Any = ()) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), layer or keras.layers.Dense(1)])
    model.compile("sgd", loss, metrics=list(metrics))
    return model


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (lambda: _model(Doubling()), "the class Doubling of module"),
        (lambda: _model(loss=Distance()), "the class Distance of module"),
        (lambda: _model(loss=gap), "the function gap is not registered"),
        (lambda: _model(metrics=[Hits()]), "the class Hits of module"),
        (lambda: _model(keras.layers.Dense(1, activation=squashed)), "the function squashed is not registered"),
    ],
    ids=["layer", "loss", "loss function", "metric", "activation"],
)
def test_the_missing_object_is_named(model: Any, named: str, tmp_path: Path) -> None:
    model().save(tmp_path / "best.keras")
    with pytest.raises(ExportError) as refused:
        load_trained("trial 4", tmp_path / "best.keras")
    said = str(refused.value)
    assert said.startswith(f"the model of trial 4 cannot be loaded: {named}")
    assert "put @keras.saving.register_keras_serializable() above its definition" in said


def test_all_missing_objects_are_named_at_once(tmp_path: Path) -> None:
    _model(Doubling(), gap, [Hits()]).save(tmp_path / "best.keras")
    with pytest.raises(ExportError, match=r"class Doubling.*class Hits.*function gap|Doubling.*gap.*Hits"):
        load_trained("trial 4", tmp_path / "best.keras")


def test_an_object_of_a_module_that_the_space_does_not_import(tmp_path: Path) -> None:
    registered = keras.saving.register_keras_serializable("elsewhere")(type("Tripling", (Doubling,), {}))
    _model(registered()).save(tmp_path / "best.keras")
    del keras.saving.get_custom_objects()["elsewhere>Tripling"]
    with pytest.raises(ExportError, match="Tripling is registered as elsewhere>Tripling, but importing the space's"):
        load_trained("trial 4", tmp_path / "best.keras")


def test_code_out_of_the_file_is_not_run(tmp_path: Path) -> None:
    _model(keras.layers.Lambda(lambda x: x * 2)).save(tmp_path / "best.keras")
    with pytest.raises(ExportError, match=r"a Lambda layer made from a Python lambda.*Layer subclass"):
        load_trained("trial 4", tmp_path / "best.keras")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "best.keras").write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"cannot be loaded: .*best\.keras"):
        load_trained("trial 4", tmp_path / "best.keras")


def test_a_model_that_cannot_be_called_needs_an_export_model() -> None:
    with pytest.raises(ExportError, match=r"Halves has no call.*export_model\(model\)"):
        find_subject(Plain(), Halves(), np.zeros((2, 3)))


def test_what_export_model_returns_is_exported_with_inputs_of_its_own() -> None:
    trained = Halves()
    subject = find_subject(Generating(), trained, np.zeros((2, 3)))
    assert subject.model is trained.generator
    assert not subject.is_trained and subject.unscorable
    assert [(each.tensor, each.dtype, each.shape) for each in subject.takes or ()] == [("noise", "float32", (2,))]
    assert served_outputs(subject.model, subject.output, ()).outputs[0].shape == (3,)


def test_what_export_model_must_return() -> None:
    with pytest.raises(ExportError, match=r"export_model returned str, not a keras\.Model"):
        find_subject(Mistaken(), Halves(), np.zeros((2, 3)))


def test_outputs_by_task_and_name() -> None:
    inputs = keras.Input((3,))
    layers = [keras.layers.Dense(1, name="age"), keras.layers.Dense(2, name="kind")]
    several = keras.Model(inputs, [layer(inputs) for layer in layers])
    output = several(np.zeros((2, 3)))
    targets = [TargetFacts(name=str(i), task="regression", dtype="float32") for i in range(2)]
    assert [each.tensor for each in served_outputs(several, output, targets).outputs] == ["age", "kind"]
    named = {"kind of": output[1], "age": output[0]}
    assert [each.tensor for each in served_outputs(several, named, targets).outputs] == ["age", "kind_of"]
    assert [each.tensor for each in served_outputs(several, output[0], targets[:1]).outputs] == ["predictions"]
    assert [each.tensor for each in served_outputs(several, output[0], ()).outputs] == ["outputs"]
    with pytest.raises(ExportError, match="is a single number"):
        served_outputs(several, np.float32(1), ())


def test_names_that_tensorflow_takes() -> None:
    names = ["a b", "a_b", "a.b", "self", "0", "", "Größe", "class"]
    assert tensor_names(names) == ["a_b", "a_b_2", "a_b_3", "self_", "x_0", "x_", "Gr__e", "class"]
