"""Models with classes and functions of the user's own: what is said of them before a study, and what an export does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

from tests.tuner.champion.conftest import Project
from tuner.champion.choosing.scored_trial import NotCompiled, evaluate
from tuner.champion.export.trying_process import tried
from tuner.champion.messages import TryExport
from tuner.champion.model.kept.kept_file import KeptFile
from tuner.champion.model.kept.users_objects import UsersObjects
from tuner.champion.model.loaded_model import LoadedExport
from tuner.champion.records.request import ExportRequest
from tuner.errors import ExportError

pytestmark = pytest.mark.slow

# Every kind of thing that a model may have of its user's own, one model of each.
_SPACE = """
import keras
from keras import layers, ops


class Doubling(layers.Layer):
    def call(self, inputs):
        return inputs * 2


class Scaling(layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor


class Net(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.flat, self.dense = layers.Flatten(), layers.Dense(units, activation="softmax")

    def call(self, inputs):
        return self.dense(self.flat(inputs * 1e-3))


def squashed(inputs):
    return ops.softmax(inputs)


class Distance(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return 1.0 - ops.take_along_axis(y_pred, ops.cast(ops.reshape(y_true, (-1, 1)), "int32"), axis=-1)[:, 0]


def gap(y_true, y_pred):
    return 1.0 - ops.take_along_axis(y_pred, ops.cast(ops.reshape(y_true, (-1, 1)), "int32"), axis=-1)[:, 0]


def weighed(factor):
    def inner(y_true, y_pred):
        return gap(y_true, y_pred) * factor

    return inner


class Certainty(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(ops.max(y_pred, axis=-1))


class Scaled(keras.metrics.Mean):
    def __init__(self, factor, name="scaled"):
        super().__init__(name=name)
        self.factor = factor

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(ops.max(y_pred, axis=-1) * self.factor)


KINDS = [
    "plain", "layer", "arguments", "lambda", "function in a Lambda", "model", "nested", "activation", "loss class",
    "loss function", "loss in a function", "metric class", "metric function", "metric with arguments", "metric lambda",
]


def build(hp):
    kind = hp.Choice("kind", KINDS)
    own = {
        "layer": [Doubling()],
        "arguments": [Scaling(3.0)],
        "lambda": [layers.Lambda(lambda values: values * 2)],
        "function in a Lambda": [layers.Lambda(squashed)],
    }
    if kind == "model":
        model = Net()
        model.build((None, 24, 24, 3))
    else:
        if kind == "nested":
            class Inner(layers.Layer):
                def call(self, inputs):
                    return inputs + 1

            own[kind] = [Inner()]
        last = layers.Dense(3, activation=squashed if kind == "activation" else "softmax")
        first = [keras.Input((24, 24, 3)), layers.Rescaling(1e-3)]
        model = keras.Sequential([*first, *own.get(kind, []), layers.Flatten(), last])
    losses = {"loss class": Distance(), "loss function": gap, "loss in a function": weighed(2.0)}
    metrics = {
        "metric class": Certainty(name="own"),
        "metric function": gap,
        "metric with arguments": Scaled(5.0),
        "metric lambda": lambda y_true, y_pred: ops.max(y_pred, axis=-1),
    }
    chosen = [metrics[kind]] if kind in metrics else []
    loss = losses.get(kind, "sparse_categorical_crossentropy")
    model.compile("sgd", loss, metrics=["accuracy", *chosen])
    return model
"""
_REGISTER = '@keras.saving.register_keras_serializable(package="{}")\n'


@dataclass
class Own:
    """A space of one's own in a file, and default models of it as trials keep them."""

    project: Project
    folder: Path
    name: str

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.py"

    def write(self, text: str) -> None:
        """The space's file, as it is from now on in a process that has not seen it before."""
        self.file.write_text(text)
        sys.modules.pop(self.name, None)
        importlib.invalidate_caches()
        for name in [
            name for name in keras.saving.get_custom_objects() if name.startswith(("later>", f"{self.name}>"))
        ]:
            del keras.saving.get_custom_objects()[name]

    def kept(self, kind: str, objective: str = "val_loss") -> tuple[ExportRequest, dict[str, float]]:
        """What a trial of that kind keeps and records."""
        self.write(_SPACE)
        sys.path.insert(0, str(self.folder))
        try:
            model = importlib.import_module(self.name).build(_values(kind))
        finally:
            sys.path.remove(str(self.folder))
        metrics = self.project.train(model, "given", epochs=1)
        spec = self.project.spec
        spec = spec.model_copy(
            update={
                "space": spec.space.model_copy(update={"name": f"{self.file}:build"}),
                "objectives": (spec.objective.model_copy(update={"metric": objective, "direction": "minimize"}),),
            }
        )
        request = self.project.request(model, metrics.get(objective, 0.0), spec=spec, params={"kind": kind})
        self.write(_SPACE)
        return request, metrics

    def said(self, request: ExportRequest) -> list[str]:
        return tried(TryExport(request=request, data=self.project.data.folder))


def _values(kind: str) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.values["kind"] = kind
    return hp


@pytest.fixture
def own(shades: Project, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Own]:
    name = f"own_space_{abs(hash(request.node.name))}"
    made = Own(shades, tmp_path, name)
    yield made
    made.write(_SPACE)


def _line(definition: str) -> int:
    return next(at for at, line in enumerate(_SPACE.splitlines(), 1) if line.strip().startswith(definition))


@pytest.mark.parametrize(
    ("kind", "named", "definition"),
    [
        ("layer", "the class Doubling", "class Doubling"),
        ("arguments", "the class Scaling", "class Scaling"),
        ("model", "the class Net", "class Net"),
        ("activation", "the function squashed", "def squashed"),
        ("function in a Lambda", "the function squashed", "def squashed"),
    ],
)
def test_what_the_model_has_of_its_users_own_is_said_and_found(
    own: Own, kind: str, named: str, definition: str
) -> None:
    request, metrics = own.kept(kind)
    (said,) = own.said(request)
    assert said.startswith(f"{named} ({own.file}, line {_line(definition)}) is not registered: ")
    assert f'put @keras.saving.register_keras_serializable(package="{own.name}") above it' in said
    found = evaluate(request, own.project.data, ["validation"])
    assert found.metrics("validation")["loss"] == pytest.approx(metrics["val_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "named", "definition", "metric"),
    [
        ("loss class", "the loss Distance", "class Distance", "loss"),
        ("loss function", "the loss gap", "def gap", "loss"),
        ("metric class", "the metric Certainty", "class Certainty", "own"),
        ("metric function", "the metric gap", "def gap", "gap"),
    ],
)
def test_a_loss_or_a_metric_is_left_out_of_the_file_and_computed_again(
    own: Own, kind: str, named: str, definition: str, metric: str, tmp_path: Path
) -> None:
    request, metrics = own.kept(kind)
    (said,) = own.said(request)
    assert said.startswith(f"{named} ({own.file}, line {_line(definition)}) is not registered: an exported model.keras")
    assert f'put @keras.saving.register_keras_serializable(package="{own.name}") above it' in said
    _given_away(own, request, tmp_path)
    found = evaluate(request, own.project.data, ["validation"]).metrics("validation")
    assert found[metric] == pytest.approx(metrics[f"val_{metric}"], rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "named", "metric"),
    [
        ("loss in a function", "the loss inner", "loss"),
        ("metric with arguments", "the metric Scaled", "scaled"),
        ("metric lambda", "the metric made from a Python lambda", "lambda"),
    ],
)
def test_what_no_file_can_hold_is_computed_by_the_model_that_the_space_builds(
    own: Own, kind: str, named: str, metric: str, tmp_path: Path
) -> None:
    request, metrics = own.kept(kind)
    (said,) = own.said(request)
    assert said.startswith(named)
    _given_away(own, request, tmp_path)
    recorded = next(value for name, value in metrics.items() if name.startswith("val_") and metric in name)
    found = evaluate(request, own.project.data, ["validation"]).metrics("validation")
    assert next(value for name, value in found.items() if metric in name) == pytest.approx(recorded, rel=1e-5)


@pytest.mark.parametrize(("kind", "metric"), [("loss in a function", "loss"), ("metric with arguments", "scaled")])
def test_it_is_said_to_be_unverified_where_the_space_builds_no_such_model(own: Own, kind: str, metric: str) -> None:
    request, metrics = own.kept(kind, f"val_{metric}")
    own.write(_SPACE.replace("def build(hp):", "def build(hp):\n    raise RuntimeError\n\n\ndef was_build(hp):"))
    assert f"val_{metric} cannot be computed again" in own.said(request)[-1]
    found = evaluate(request, own.project.data, ["validation"])
    with pytest.raises(NotCompiled, match=f"val_{metric} cannot be computed again, because the "):
        found.score("validation")
    # The others are what they were.
    assert found.metrics("validation")["accuracy"] == pytest.approx(metrics["val_accuracy"], abs=1e-6)
    assert ("loss" in found.metrics("validation")) == (metric != "loss")


def _given_away(own: Own, request: ExportRequest, folder: Path) -> None:
    """Keras loads the file that is given away, compiled, without the user's code."""
    KeptFile(request.checkpoint, UsersObjects()).give_away(folder / "model.keras")
    assert keras.saving.load_model(folder / "model.keras").compiled


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("lambda", "a Lambda layer made from a Python lambda"),
        ("nested", "the class Inner of module"),
    ],
)
def test_what_cannot_be_exported_is_known_before(own: Own, kind: str, said: str) -> None:
    request, _ = own.kept(kind)
    with pytest.raises(ExportError, match=f"cannot be loaded: .*{said}"):
        own.said(request)


@pytest.mark.parametrize("package", ["own", "later"])
@pytest.mark.parametrize(
    ("kind", "definition", "metric"),
    [
        ("layer", "class Doubling", "loss"),
        ("activation", "def squashed", "loss"),
        ("metric class", "class Certainty", "own"),
        ("loss function", "def gap", "loss"),
    ],
)
def test_what_is_registered_later_is_exported_under_its_name(
    own: Own, kind: str, definition: str, metric: str, package: str, tmp_path: Path
) -> None:
    request, metrics = own.kept(kind)
    package = own.name if package == "own" else package
    own.write(_SPACE.replace(f"{definition}", f"{_REGISTER.format(package)}{definition}", 1))
    assert own.said(request) == []
    data = own.project.data
    found = evaluate(request, data, ["validation"]).metrics("validation")
    assert found[metric] == pytest.approx(metrics[f"val_{metric}"], rel=1e-5)
    assert LoadedExport(request, data).kept.file.give_away(tmp_path / "model.keras") == ()
    # Importing the module is all that Keras needs.
    assert keras.saving.load_model(tmp_path / "model.keras").compiled


def test_several_are_said_at_once(own: Own) -> None:
    request, _ = own.kept("plain")
    module = _imported(own)
    model = keras.Sequential([keras.Input((24, 24, 3)), module.Doubling(), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, activation=module.squashed))
    model.compile("sgd", module.gap, metrics=[module.Certainty()])
    model.save(request.checkpoint)
    said = own.said(request)
    assert len(said) == 4
    assert all("register_keras_serializable" in each for each in said)


def _imported(own: Own) -> Any:
    sys.path.insert(0, str(own.folder))
    try:
        return importlib.import_module(own.name)
    finally:
        sys.path.remove(str(own.folder))


def test_metrics_of_several_outputs_keep_their_places(own: Own, tmp_path: Path) -> None:
    own.write(_SPACE)
    module = _imported(own)
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")]
    compilations: list[Callable[[], Any]] = [
        lambda: [[module.gap, "mae"], ["mse"]],
        lambda: [[module.gap], ["mse"]],
        lambda: {"a": [module.gap, "mae"], "b": "mse"},
        lambda: [module.gap, "mse"],
    ]
    for place, metrics in enumerate(compilations):
        model = keras.Model(inputs, outputs)
        model.compile("sgd", ["mse", "mse"], metrics=metrics())
        file = tmp_path / f"{place}.keras"
        model.save(file)
        left_out = KeptFile(file, UsersObjects()).give_away(tmp_path / "given.keras")
        assert [str(each) for each in left_out] == ["the metric gap"]
        loaded = keras.saving.load_model(tmp_path / "given.keras")
        zeros = keras.ops.zeros((2, 1))
        found = loaded.evaluate(keras.ops.zeros((2, 3)), [zeros, zeros], verbose=0, return_dict=True)
        assert "b_mse" in found and ("a_mae" in found) == (place in (0, 2))


def test_neither_a_librarys_function_nor_one_of_another_kind_is_called(own: Own) -> None:
    own.write("from os import system\n\nimport keras\n\n\nclass Popen:\n    def from_config(self):\n        ...\n")
    users = UsersObjects([_imported(own)])
    from tuner.champion.model.kept.users_objects import Reference

    assert users.find(Reference("function", "system")) is None
    assert users.find(Reference("class", "Popen", own.name)) is None
    assert users.find(Reference("class", "keras", own.name)) is None
