"""Champions of arrays: proven with the user's own targets and weights, and giving what the loss learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.exported import export, verified
from tuner.data.cache import prepare
from tuner.data.hashes import HASHES
from tuner.data.prepared import target_stem, write_meta
from tuner.errors import ExportError
from tuner.spec.data import Npz

pytestmark = pytest.mark.slow

_SPACE = """
import keras
from keras import ops


@keras.saving.register_keras_serializable("own_arrays")
class Squares(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1)


def build(hp):
    raise AssertionError("an export builds no model")
"""

_SEVERAL = """
import numpy as np


def load():
    draw = np.random.default_rng(5)
    a, b = draw.normal(size=(60, 4)), draw.normal(size=(60, 6, 2)).astype("float32")
    y = {"size": a[:, :1] * 3 + 1, "steps": b.sum(axis=-1, keepdims=True)}
    return (a, {"steps": b}), y, {"size": draw.random(60), "steps": draw.random((60, 6))}
"""


def test_weights_of_steps_by_output_and_nested_inputs(tmp_path: Path) -> None:
    (tmp_path / "several.py").write_text(_SEVERAL)
    names: dict[str, Any] = {}
    exec(_SPACE, names)

    def build() -> Any:
        import keras

        a, b = keras.Input((4,), name="a"), keras.Input((6, 2), name="b")
        outputs = {
            "size": keras.layers.Dense(1, name="size")(a), "steps": keras.layers.Dense(1, name="steps")(b),
        }  # fmt: skip
        model = keras.Model((a, {"steps": b}), outputs)
        model.compile("sgd", {"size": names["Squares"](), "steps": names["Squares"]()})
        return model

    data = {"kind": "python", "source": "several.py:load"}
    done = export(tmp_path, data, {"metric": "val_loss", "direction": "minimize"}, build, space=_SPACE)
    verified(done, "several.py:load")
    champion = done.report.champion
    assert [each.tensor for each in champion.input.tensors] == ["x_0", "x_1_steps"]
    given = done.served(x_0=np.zeros((3, 4), "float32"), x_1_steps=np.zeros((3, 6, 2), "float32"))
    assert {name: value.shape for name, value in given.items()} == {"size": (3, 1), "steps": (3, 6, 1)}


def test_targets_that_were_damaged_where_training_reads_them_are_found_out(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 3))
    np.savez(tmp_path / "rows.npz", x=x, y=x.sum(axis=1, keepdims=True), w=draw.random(60))
    data = {"kind": "npz", "path": "rows.npz"}
    prepared = prepare(Npz(kind="npz", path=tmp_path / "rows.npz"), tmp_path / "cache")
    # What training sees is not what the user gave: only a proof that reads the user's own arrays can tell.
    file = prepared.folder / f"{target_stem('validation', 0)}.npy"
    np.save(file, np.load(file) * 100)
    # Nor do the hashes show it, as if it had been written so.
    (prepared.folder / HASHES).unlink()
    write_meta(prepared, prepared.folder)

    def build() -> Any:
        import keras

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
        return model

    with pytest.raises(ExportError, match=r"the labels of 12 of 12 validation examples .* are not those of the source"):
        export(tmp_path, data, {"metric": "val_mae", "direction": "minimize"}, build)


def test_integers_that_a_loss_learns_as_numbers_are_served_as_numbers(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 4))
    np.savez(tmp_path / "rows.npz", x=x, y=np.arange(100) % 10 * 100 + 100)

    def build() -> Any:
        import keras

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        return model

    objective = {"metric": "val_mae", "direction": "minimize"}
    done = export(tmp_path, {"kind": "npz", "path": "rows.npz"}, objective, build)
    verified(done, "raw validation rows of")
    champion = done.report.champion
    assert (champion.task, champion.class_names, champion.outputs[0].tensor) == ("regression", (), "predictions")
    assert done.recorded["val_mae"] == pytest.approx(550, abs=60)


def test_one_hot_labels_stay_and_have_names_and_a_confusion_matrix(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(90, 3))
    np.savez(tmp_path / "rows.npz", x=x, y=np.eye(3)[x.argmax(axis=1)])

    def build() -> Any:
        import keras

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "softmax")])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy", keras.metrics.F1Score("macro")])
        return model

    done = export(tmp_path, {"kind": "npz", "path": "rows.npz"}, "val_accuracy", build)
    verified(done, "raw validation rows of")
    champion = done.report.champion
    assert [each.tensor for each in champion.outputs] == ["probabilities", "label"]
    assert champion.class_names == ("0", "1", "2")
    confusion = done.report.verification.confusion
    assert confusion is not None and confusion.accuracy == pytest.approx(done.recorded["val_accuracy"])
