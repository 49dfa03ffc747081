"""LiteRT files of whole models: what they give in LiteRT's own runtime, and which models are refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from search_spaces.base import DataSummary
from search_spaces.image import ImageSpace
from search_spaces.statistics import INTEGER_MISSING
from search_spaces.structured import StructuredSpace
from search_spaces.tables.config import FAMILIES
from tuner.champion.formats.litert.model import FILES, FLOAT, FLOAT16, INT8, SIGNATURE, write_litert
from tuner.champion.formats.refusal import FormatRefused
from tuner.data.batches import BatchFormat, TrainingBatches
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.data.summary import summary_of

Batch = dict[str, Any]
# Names of tensors, as an export gives them to columns with any name.
COLUMNS = {"time": "time (s)", "km_h": "km/h", "rooms": "rooms", "Street": "Straße", "city": "city"}
ROWS = 66


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    yield
    keras.mixed_precision.set_dtype_policy("float32")


def _table(table_data: Callable[..., PreparedData]) -> PreparedData:
    draw = np.random.default_rng(0)
    rooms = draw.integers(-1, 4, ROWS)
    rooms[draw.random(ROWS) < 0.2] = INTEGER_MISSING
    # Seconds since 1970, of one month: float16 ends at 65504.
    time = draw.normal(1.6e9, 1e6, ROWS).astype("float32")
    columns = {
        "time (s)": time,
        "km/h": np.where(draw.random(ROWS) < 0.3, np.nan, draw.exponential(1000, ROWS)).astype("float32"),
        "rooms": rooms,
        "Straße": draw.choice(["Straße 0", "Straße 1", "Straße 2", ""], ROWS).tolist(),
        "city": draw.choice(["Köln", "Bonn"], ROWS).tolist(),
    }
    facts = TargetFacts(task="classification", dtype="int64", class_names=("a", "b", "c"))
    return table_data(columns, np.digitize(time, [1.5999e9, 1.6005e9]).astype("int64"), facts)


def _rows(count: int = 33) -> Batch:
    """Raw rows, among them what training lacks."""
    draw = np.random.default_rng(1)
    return {
        "time": draw.choice([0, 1.599e9, 1.6e9, 1.601e9, -3e38, np.nan, np.inf], count).astype("float32"),
        "km_h": draw.choice([0, 10, 1000, 1e30, np.nan], count).astype("float32"),
        "rooms": draw.choice([1, 2, 3, -1, 77, -(2**62), INTEGER_MISSING, INTEGER_MISSING + 1], count),
        "Street": draw.choice(np.array(["Straße 0", "Straße 1", "", "new", "[UNK]", "é" * 100], dtype=object), count),
        "city": draw.choice(np.array(["Köln", "Bonn", "\0"], dtype=object), count),
    }


def _structured(data: PreparedData, **values: Any) -> keras.Model:
    hp = keras_tuner.HyperParameters()
    hp.values = {"units": 64, "layers": 1, **values}
    space = StructuredSpace(summary_of(data), families=FAMILIES, epochs=1)
    model = space.build(hp)
    if values["family"] == "boosted":
        batches = TrainingBatches(data, 1000, 0, BatchFormat(space.labels, model.preprocessing)).dataset
        space.fit(hp, model.network, batches, verbose=0)
    return model.end_to_end()


def _on_rows(model: keras.Model) -> Callable[..., dict[str, tf.Tensor]]:
    return lambda *columns: {"probabilities": model(dict(zip(COLUMNS.values(), columns, strict=True)), training=False)}


def _on_pixels(model: keras.Model) -> Callable[..., dict[str, tf.Tensor]]:
    return lambda images: {"probabilities": model(tf.cast(images, tf.float32), training=False)}


def _on_numbers(model: keras.Model) -> Callable[..., dict[str, tf.Tensor]]:
    return lambda x: {"outputs": model(x, training=False)}


def _specs(batch: Batch) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec((None, *values.shape[1:]), tf.string if values.dtype == object else values.dtype, name=name)
        for name, values in batch.items()
    ]


def _expected(call: Callable[..., dict[str, tf.Tensor]], batch: Batch) -> Batch:
    tensors = [tf.constant(values.tolist() if values.dtype == object else values) for values in batch.values()]
    return {name: value.numpy() for name, value in call(*tensors).items()}


def _given(file: Path, batch: Batch, size: int) -> Batch:
    """What a file gives for a batch in pieces; the runner resizes the inputs to each."""
    run = Interpreter(model_path=str(file), num_threads=1).get_signature_runner(SIGNATURE)
    dtypes = {name: np.bytes_ if values.dtype == object else values.dtype.type for name, values in batch.items()}
    assert {name: each["dtype"] for name, each in run.get_input_details().items()} == dtypes
    starts = range(0, len(next(iter(batch.values()))), size)
    pieces = [run(**{name: values[at : at + size] for name, values in batch.items()}) for at in starts]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _check(
    model: keras.Model,
    call: Callable[..., dict[str, tf.Tensor]],
    batch: Batch,
    folder: Path,
    *,
    exact: float = 1e-5,
    quantised: float = 0.05,
    formats: Sequence[str] = (FLOAT, FLOAT16, INT8),
) -> None:
    expected = _expected(call, batch)
    refused = write_litert(model, call, _specs(batch), folder, [batch])
    assert set(formats) | refused.keys() == FILES.keys()
    assert sorted(os.listdir(folder)) == sorted(FILES[name] for name in formats)
    for name in formats:
        tolerance = exact if name == FLOAT else quantised
        for size in (1, 2, 33):
            given = _given(folder / FILES[name], batch, size)
            assert given.keys() == expected.keys()
            for output, values in given.items():
                np.testing.assert_allclose(values, expected[output], rtol=0, atol=tolerance, err_msg=f"{name} {size}")
    # The model is as it was.
    again = _expected(call, batch)
    assert all((again[output] == values).all() for output, values in expected.items())


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(
            {"family": "boosted", "leaves": 8, "boosting_rate": 0.2, "least_examples": 5}, marks=pytest.mark.fast
        ),
        {"family": "tabm", "members": 8, "one_hot_up_to": 4},
        {"family": "realmlp"},
        {"family": "mlp", "numbers": "standard", "normalization": "layer"},
        {"family": "wide_and_deep", "numbers": "log", "crosses": 3},
        {"family": "cross", "numbers": "quantile", "activation": "gelu"},
        {"family": "linear", "numbers": "binned"},
    ],
    ids=lambda values: values["family"],
)
def test_tables(values: dict[str, Any], table_data: Callable[..., PreparedData], tmp_path: Path) -> None:
    model = _structured(_table(table_data), **values)
    # A linear model of five columns has nothing to narrow to 8 bits, and of numbers in 8 bits trees can tell few apart.
    formats = (FLOAT, FLOAT16) if values["family"] in ("linear", "boosted") else (FLOAT, FLOAT16, INT8)
    _check(model, _on_rows(model), _rows(), tmp_path, formats=formats)


def _pixels(shape: tuple[int, ...], count: int = 33) -> Batch:
    """Smooth images of different brightness, as photographs are smooth."""
    draw = np.random.default_rng(2)
    coarse = draw.uniform(0, 255, (count, 4, 4, shape[2]))
    return {"images": coarse.repeat(shape[0] // 4, axis=1).repeat(shape[1] // 4, axis=2).astype("uint8")}


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_images(precision: str, image_summary: Callable[..., DataSummary], tmp_path: Path) -> None:
    keras.mixed_precision.set_dtype_policy(precision)
    hp = keras_tuner.HyperParameters()
    hp.values = {
        "crop": 0.8,
        "flip": "horizontal",
        "rotation": 0.1,
        "zoom": 0.1,
        "contrast": 0.1,
        "translation": 0.1,
        "stages": 2,
        "blocks": 1,
        "width": 16,
        "squeeze_excitation": True,
    }
    data = image_summary((32, 32, 3), ("a", "b", "c"), {"train": 96, "validation": 24}, (32, 32, 32))
    model = ImageSpace(data, families=["residual"], epochs=1).build(hp)
    assert any(isinstance(layer, layers.RandomFlip) for layer in model.layers)
    _check(model, _on_pixels(model), _pixels((32, 32, 3)), tmp_path, exact=1e-5 if precision == "float32" else 5e-3)


def test_a_backbone(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNetV3Small(weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.5)
    # Every kind of layer that it has is in its first blocks.
    backbone = keras.Model(whole.input, whole.get_layer("expanded_conv_4_add").output)
    batch = _pixels((32, 32, 3))
    # With moving statistics of nothing, random weights give the same for every image.
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    backbone(batch["images"].astype("float32"), training=True)
    images = layers.Input((32, 32, 3))
    features = layers.GlobalAveragePooling2D()(backbone(images, training=False))
    model = keras.Model(images, layers.Dense(4, "softmax")(features))
    assert _expected(_on_pixels(model), batch)["probabilities"].std(axis=0).max() > 0.05
    _check(model, _on_pixels(model), batch, tmp_path, quantised=0.2)


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_recurrent_layers(kind: type, tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((6, 3)), kind(8), layers.Dense(2)])
    batch = {"x": np.random.default_rng(0).normal(size=(33, 6, 3)).astype("float32")}
    _check(model, _on_numbers(model), batch, tmp_path, quantised=0.1)
    assert model.layers[0].unroll is False


def _refusal(model: keras.Model, call: Callable[..., dict[str, tf.Tensor]], batch: Batch, folder: Path) -> str:
    with pytest.raises(FormatRefused) as refused:
        write_litert(model, call, _specs(batch), folder, [batch])
    assert os.listdir(folder) == []
    assert "\n" not in refused.value.reason
    assert refused.value.alternative.startswith("use ")
    return refused.value.reason


def test_texts_are_refused(tmp_path: Path) -> None:
    text = layers.Input((), dtype="string")
    tokens = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4, name="tokens")(text)
    model = keras.Model(text, layers.Dense(2)(layers.Flatten()(layers.Embedding(4, 2)(tokens))))
    batch = {"x": np.array(["a b", "c"], dtype=object)}
    assert "the layer tokens splits texts into tokens" in _refusal(model, _on_numbers(model), batch, tmp_path)


@pytest.mark.parametrize(
    "layer",
    [layers.Hashing(5, name="hashed"), layers.StringLookup(vocabulary=["a"], num_oov_indices=2, name="hashed")],
    ids=["all", "unknown"],
)
def test_hashes_are_refused(layer: Any, tmp_path: Path) -> None:
    text = layers.Input((), dtype="string")
    model = keras.Model(text, layers.Embedding(9, 2)(layer(text)))
    reason = _refusal(model, _on_numbers(model), {"x": np.array(["a b", "c"], dtype=object)}, tmp_path)
    assert "the layer hashed" in reason
    assert "hash" in reason.removeprefix("the layer hashed")


def test_an_op_that_litert_lacks_is_named(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    batch = {"x": np.ones((2, 3), dtype="float32")}
    reason = _refusal(model, lambda x: {"outputs": tf.math.bessel_i0e(model(x))}, batch, tmp_path)
    assert reason == "LiteRT has no op for TensorFlow's BesselI0e"


def test_a_model_that_knows_the_size_of_its_batch_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    batch = {"x": np.random.default_rng(0).normal(size=(5, 3)).astype("float32")}

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(x, training=False)
        return {"outputs": outputs - tf.reduce_mean(outputs, axis=0, keepdims=True)}

    assert "changes with the size of the batch" in _refusal(model, call, batch, tmp_path)


def test_what_raises_is_the_reason(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    batch = {"x": np.ones((2, 3), dtype="float32")}

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        raise ValueError("no such thing")

    assert _refusal(model, call, batch, tmp_path) == "LiteRT cannot represent it: ValueError: no such thing"


def test_a_file_that_says_nothing_is_refused_alone(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    draw = np.random.default_rng(0)
    # Of 256 steps, one column leaves the others none.
    batch = {"x": draw.normal(size=(33, 3)).astype("float32") * np.float32([1, 1, 2000])}
    model.set_weights([np.float32([[1, 2], [3, 4], [0, 0]]), np.zeros(2, "float32")])
    refused = write_litert(model, _on_numbers(model), _specs(batch), tmp_path, [batch])
    assert refused.keys() == {INT8}
    assert "quantised, outputs is off by" in refused[INT8].reason
    assert refused[INT8].alternative == "use model.tflite, which is in float32"
    assert sorted(os.listdir(tmp_path)) == ["model-float16.tflite", "model.tflite"]


@pytest.mark.fast
def test_weights_beyond_16_bits_stay_as_they_are(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(4, "relu"), layers.Rescaling(1e-5), layers.Dense(2)])
    model.layers[0].set_weights([np.full((3, 4), 1e5, "float32"), np.zeros(4, "float32")])
    batch = {"x": np.random.default_rng(0).normal(size=(33, 3)).astype("float32")}
    _check(model, _on_numbers(model), batch, tmp_path, exact=1e-4, quantised=0.2)
