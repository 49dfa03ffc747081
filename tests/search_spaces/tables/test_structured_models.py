"""The models that the structured space builds: trainable, whole from raw columns on, and of Keras's own layers."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from search_spaces.base import StagedModel
from search_spaces.statistics import INTEGER_MISSING
from search_spaces.structured import StructuredSpace
from search_spaces.tables.config import FAMILIES
from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.prepared import PreparedData
from tuner.data.summary import summary_of

Table = Callable[..., PreparedData]
TASKS = ["two classes", "three classes", "labels", "regression"]
# Every way of encoding stands beside a family.
GIVEN: dict[str, dict[str, Any]] = {
    "boosted": {"leaves": 8, "boosting_rate": 0.3, "least_examples": 5},
    "tabm": {"numbers": "piecewise", "members": 8},
    "realmlp": {"numbers": "periodic"},
    "mlp": {"numbers": "standard", "normalization": "layer"},
    "residual": {"numbers": "robust", "one_hot_up_to": 4},
    "wide_and_deep": {"numbers": "log", "crosses": 3},
    "cross": {"numbers": "quantile", "activation": "gelu"},
    "linear": {"numbers": "binned", "edges": "distinct"},
}


def _hp(**values: Any) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.values = {"family": "mlp", "units": 64, "layers": 1, **values}
    return hp


def _space(data: PreparedData) -> StructuredSpace:
    return StructuredSpace(summary_of(data), families=FAMILIES, epochs=1)


def _build(data: PreparedData, **values: Any) -> StagedModel:
    return _space(data).build(_hp(**values))


def _raw(data: PreparedData, split: str = "validation") -> dict[str, Any]:
    (batch,) = evaluation_batches(data, 1000, BatchFormat(), split)
    return dict(batch[0])


def _form(data: PreparedData, model: StagedModel) -> BatchFormat:
    return BatchFormat(StructuredSpace(summary_of(data)).labels, model.preprocessing)


UNKNOWN = {
    "amount (€)": tf.constant([np.nan, np.inf, -np.inf, 3e38]),
    "km/h": tf.constant([np.nan, 0.0, 1e30, -1e-30]),
    "rooms": tf.constant([INTEGER_MISSING, 77, -1, 2**62]),
    "Straße": tf.constant(["", "unheard of", "[UNK]", "é" * 1000]),
    "customer id": tf.constant(["", "c1", "c99", "\0"]),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_trains_and_is_the_same_from_raw_columns(family: str, task: str, table: Table) -> None:
    data = table(task)
    hp = _hp(family=family, **GIVEN[family])
    model = _space(data).build(hp)
    # One task of each family is compiled by XLA, where nothing in the network may stand in its way; a graph for each of
    # the others would be most of the test's time.
    compiled = task == "two classes"
    model.network.jit_compile, model.network.run_eagerly = compiled, not compiled
    form = _form(data, model)
    history = _space(data).fit(hp, model.network, TrainingBatches(data, 20, 0, form).dataset, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values()), history
    whole = model.end_to_end()
    assert set(whole.input) == set(UNKNOWN)
    staged = [model.network(batch[0], training=False) for batch in evaluation_batches(data, 7, form)]
    np.testing.assert_allclose(whole(_raw(data), training=False), np.concatenate(staged), rtol=1e-6, atol=1e-6)
    assert np.isfinite(whole(UNKNOWN, training=False)).all()


_LOADS = """
import json, sys
sys.modules["search_spaces"] = sys.modules["tuner"] = None
import keras, numpy as np
given = json.load(open(sys.argv[1]))
rows = {name: np.array(values, dtype) for name, (values, dtype) in given["rows"].items()}
import tensorflow as tf
rows = {name: tf.constant(values) for name, values in rows.items()}
print(json.dumps([keras.saving.load_model(file, safe_mode=True)(rows, training=False).numpy().tolist()
                  for file in given["files"]]))
"""


def test_saved_models_load_where_this_package_is_not(table: Table, tmp_path: Path) -> None:
    data = table()
    raw = _raw(data)
    models = [_build(data, family=family, **GIVEN[family]).end_to_end() for family in FAMILIES]
    files = [str(tmp_path / f"{index}.keras") for index in range(len(models))]
    for model, file in zip(models, files, strict=True):
        model.save(file)
    rows = {
        name: ([each.decode() for each in value], "U")
        if (value := tensor.numpy()).dtype == object
        else (value.tolist(), value.dtype.name)
        for name, tensor in raw.items()
    }
    (tmp_path / "given.json").write_text(json.dumps({"files": files, "rows": rows}))
    command = [sys.executable, "-I", "-c", _LOADS, str(tmp_path / "given.json")]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for model, predicted in zip(models, json.loads(ran.stdout.splitlines()[-1]), strict=True):
        np.testing.assert_allclose(predicted, model(raw, training=False), rtol=1e-6, atol=1e-6)


@pytest.mark.fast
def test_every_layer_is_one_of_keras(table: Table) -> None:
    data = table()
    for family in FAMILIES:
        whole = _build(data, family=family, **GIVEN[family]).end_to_end()
        modules = {type(each).__module__.split(".")[0] for each in whole._flatten_layers()}
        assert modules == {"keras"}


WEIRD = [
    "a b",
    "a/b",
    "a_b",
    "mlp",
    "boosted",
    "preprocessing",
    "columns",
    "stack",
    "",
    "x" * 500,
    "%{'\"\n",
    "column_1",
]


def test_names_of_every_kind(table_data: Callable[..., PreparedData], table: Table, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    columns = {name: draw.normal(size=60).astype("float32") for name in WEIRD}
    data = table_data(columns, np.arange(60) % 2, table().targets[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = _build(data).end_to_end()
        _build(data, family="boosted").end_to_end()
    row = {name: tf.constant([1.0, 2.0]) for name in WEIRD}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert set(loaded.input) == set(WEIRD)
    np.testing.assert_allclose(loaded(row), model(row), atol=1e-6)


def test_mixed_precision_keeps_probabilities_and_large_numbers_in_float32(table: Table) -> None:
    data = table()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = _build(data, numbers="standard")
    finally:
        keras.config.set_dtype_policy("float32")
    assert any(each.compute_dtype == "float16" for each in model.network.layers)
    assert model.preprocessing is not None
    assert model.preprocessing(UNKNOWN)["floats"].dtype == tf.float32
    predicted = model.end_to_end()(UNKNOWN, training=False)
    assert predicted.dtype == tf.float32
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("family", ["boosted", "mlp"])
def test_the_default_learns(family: str, table_data: Callable[..., PreparedData], table: Table) -> None:
    from sklearn.datasets import load_breast_cancer

    cancer = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(cancer.target))
    columns = {name: cancer.data[order, i].astype("float32") for i, name in enumerate(cancer.feature_names)}
    data = table_data(columns, cancer.target[order], table().targets[0])
    keras.utils.set_random_seed(0)
    space, hp = StructuredSpace(summary_of(data), families=[family], epochs=8), keras_tuner.HyperParameters()
    model = space.build(hp)
    form = _form(data, model)
    history = space.fit(
        hp,
        model.network,
        TrainingBatches(data, 32, 0, form).dataset,
        validation_data=evaluation_batches(data, 256, form),
        epochs=8,
        verbose=0,
    ).history
    assert max(history["val_auc"]) >= 0.98
