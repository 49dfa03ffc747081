"""The models that the text space builds: trainable, the same in one stage and in two, and of Keras's own layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from search_spaces.base import StagedModel
from search_spaces.text import TextSpace
from tests.prepared_texts import write_texts
from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.data.summary import summary_of

_PLAIN = {"standardize": "lower_and_strip_punctuation"}
# By name, what a model is to be like beside the defaults.
MODELS: dict[str, dict[str, Any]] = {
    "linear": {"family": "linear"},
    "tf_idf": {"family": "linear", "token": "words", "ngrams": 2, "weighting": "tf_idf", "standardize": "none"},
    "both": {"family": "bag"},
    "multi_hot": {"family": "bag", "token": "words", "weighting": "multi_hot", "hidden_layers": 2, "ngrams": 1},
    "logarithms": {"family": "bag", "token": "words", "weighting": "log_tf_idf", "unit_length": False},
    "characters": {"family": "bag", "token": "characters", "ngrams": 3, "standardize": "lower"},
    "pooling": {"family": "pooling", "pooling": "average", **_PLAIN},
    "convolution": {"family": "convolution", "blocks": 2, "pooling": "maximum", **_PLAIN},
    "lstm": {"family": "recurrent", "recurrent_layers": 2},
    "gru": {"family": "recurrent", "cell": "gru", "bidirectional": False, "standardize": "lower"},
    "transformer": {"family": "transformer", "transformer_layers": 2},
}
ONE_OF_EACH_FAMILY = ["linear", "both", "pooling", "convolution", "lstm", "transformer"]
_SMALL = {"embedding": 32, "filters": 64, "recurrent_units": 32, "hidden_units": 16, "heads": 2, "batch_size": 16}
_GOOD, _BAD = ("fine", "Good", "très", "好"), ("awful", "Bad", "öde", "坏")


def _texts(count: int) -> tuple[list[str], np.ndarray]:
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 2
    filler = [f"word{number}" for number in range(40)]
    texts = []
    for label in labels:
        words = [*draw.choice(filler, draw.integers(0, 20)), draw.choice((_BAD, _GOOD)[label])]
        texts.append(" ".join(draw.permutation(words)) + "!")
    return texts, labels


STRANGE = ["", "   ", "!!!", "unseen entirely", "Good " * 100, "très öde £5 😀", "[UNK]"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    texts, labels = _texts(96)
    validation, their = _texts(20)
    validation, their = validation + STRANGE, np.concatenate([their, np.zeros(len(STRANGE), np.int64)])
    target = TargetFacts(task="classification", dtype="int64", class_names=("bad", "good"))
    folder = tmp_path_factory.mktemp("texts") / "prepared"
    return write_texts(folder, {"train": (texts, labels), "validation": (validation, their)}, target)


Build = Callable[..., StagedModel]


@pytest.fixture(scope="module")
def build(data: PreparedData) -> Build:
    space = TextSpace(summary_of(data), epochs=2)

    def of(values: dict[str, Any]) -> StagedModel:
        hp = keras_tuner.HyperParameters()
        hp.values = {**_SMALL, **values}
        keras.utils.set_random_seed(0)
        return space.build(hp)

    return of


def _raw(data: PreparedData) -> tf.Tensor:
    column = data.split("validation").inputs[0]
    return tf.constant(column.rows(np.arange(len(column))))


Trained = Callable[[str], tuple[np.ndarray, Path]]


@pytest.fixture(scope="module")
def trained(data: PreparedData, build: Build, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Of a name: what the network predicts on the pipeline's batches, and where the joined model is kept."""
    folder = tmp_path_factory.mktemp("models")

    @cache
    def of(name: str) -> tuple[np.ndarray, Path]:
        model = build(MODELS[name])
        form = BatchFormat(preprocessing=model.preprocessing)
        batches, validation = TrainingBatches(data, 16, 0, form).dataset, evaluation_batches(data, 8, form)
        history = model.network.fit(batches.take(2), epochs=1, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        model.end_to_end().save(folder / f"{name}.keras")
        predicted = [model.network(x, training=False).numpy() for x, _ in validation]
        return np.concatenate(predicted), folder / f"{name}.keras"

    return of


@pytest.mark.parametrize("name", MODELS)
def test_both_stages_together_predict_what_they_do_apart(name: str, data: PreparedData, trained: Trained) -> None:
    predicted, kept = trained(name)
    joined = keras.saving.load_model(kept, safe_mode=True)
    assert joined.input_shape == (None,)
    together = joined(_raw(data), training=False).numpy()
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, predicted, atol=1e-6)


_PREDICT = """
import json, sys
import keras, tensorflow as tf
texts, models = json.load(sys.stdin)
loaded = [keras.saving.load_model(path, safe_mode=True) for path in models]
print(json.dumps([model(tf.constant(texts), training=False).numpy().tolist() for model in loaded]))
assert not {"search_spaces", "tuner", "keras_tuner"} & set(sys.modules)
"""


def test_a_process_without_this_package_reads_the_models(trained: Trained) -> None:
    given = json.dumps([STRANGE, [str(trained(name)[1]) for name in MODELS]])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", _PREDICT], input=given, capture_output=True, text=True, cwd="/", env=environment
    )
    assert ran.returncode == 0, ran.stderr
    for name, predicted in zip(MODELS, json.loads(ran.stdout.splitlines()[-1]), strict=True):
        np.testing.assert_allclose(predicted, trained(name)[0][-len(STRANGE) :], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_xla_compiles_what_is_trained(name: str, data: PreparedData, build: Build) -> None:
    # XLA takes long for large graphs: one layer of each kind, and the smallest optimizer.
    model = build(MODELS[name] | {"blocks": 1, "recurrent_layers": 1, "transformer_layers": 1})
    model.network.compile("sgd", "binary_crossentropy", jit_compile=True)
    assert model.network.jit_compile
    batches = TrainingBatches(data, 16, 0, BatchFormat(preprocessing=model.preprocessing)).dataset
    assert np.isfinite(model.network.fit(batches.take(1), verbose=0).history["loss"]).all()


@pytest.mark.fast
def test_every_layer_is_one_of_keras(build: Build) -> None:
    for name in ONE_OF_EACH_FAMILY:
        staged = build(MODELS[name])
        for model in (staged.network, staged.preprocessing):
            assert model is not None
            assert {type(each).__module__.split(".")[0] for each in model.layers} == {"keras"}


@pytest.mark.parametrize("name", ["pooling", "convolution", "lstm", "transformer"])
def test_padding_changes_nothing(name: str, build: Build) -> None:
    """The same tokens in a longer sequence, with the same weights."""
    long, short = (build(MODELS[name] | {"sequence_length": length}) for length in (24, 16))
    for theirs, ours in zip(short.network.weights, long.network.weights, strict=True):
        theirs.assign(ours[: theirs.shape[0]] if theirs.shape != ours.shape else ours)
    texts = tf.constant(["good", "awful word1 word2", "", "word3 " * 12])
    predicted = [model.end_to_end()(texts, training=False).numpy() for model in (long, short)]
    np.testing.assert_allclose(predicted[0], predicted[1], atol=1e-6)
    assert len({round(float(value), 6) for value in predicted[0].reshape(-1)}) == 4


@pytest.mark.parametrize(
    ("target", "values", "shape"),
    [
        (TargetFacts(task="classification", dtype="int64", class_names=("a", "b", "c")), np.arange(30) % 3, (2, 3)),
        (
            TargetFacts(task="multi_label", shape=(2,), dtype="float32", class_names=("a", "b")),
            np.eye(2, dtype="float32")[np.arange(30) % 2],
            (2, 2),
        ),
        (
            TargetFacts(task="regression", shape=(), dtype="float32", statistics={"mean": [4.5], "variance": [8.25]}),
            (np.arange(30) % 10).astype("float32"),
            (2, 1),
        ),
    ],
    ids=lambda value: value.task if isinstance(value, TargetFacts) else "",
)
def test_other_tasks(target: TargetFacts, values: np.ndarray, shape: tuple[int, ...], tmp_path: Path) -> None:
    texts, _ = _texts(30)
    data = write_texts(tmp_path / "prepared", {"train": (texts, values), "validation": (texts, values)}, target)
    space = TextSpace(summary_of(data))
    hp = keras_tuner.HyperParameters()
    hp.values = {"family": "pooling", **_SMALL}
    model = space.build(hp)
    batches = TrainingBatches(data, 16, 0, BatchFormat(space.labels, model.preprocessing)).dataset
    assert np.isfinite(model.network.fit(batches, verbose=0).history["loss"]).all()
    assert model.end_to_end().call(tf.constant(["a", ""])).shape == shape


def test_mixed_precision_keeps_predictions_finite_and_in_float32(data: PreparedData, build: Build) -> None:
    # Of the two policies the one whose numbers have less room.
    keras.config.set_dtype_policy("mixed_float16")
    try:
        for name in ONE_OF_EACH_FAMILY:
            predicted = build(MODELS[name]).end_to_end()(_raw(data), training=False).numpy()
            assert predicted.dtype == np.float32
            assert np.isfinite(predicted).all(), name
    finally:
        keras.config.set_dtype_policy("float32")


def test_tokens_with_a_nul_are_not_known(tmp_path: Path) -> None:
    """NumPy strings end at one: Keras would know two tokens by one name when it reads the model."""
    target = TargetFacts(task="classification", dtype="int64", class_names=("a", "b"))
    texts = ["a\0 a b", "\0 c"]
    data = write_texts(tmp_path / "prepared", {"train": (texts, [0, 1]), "validation": (texts, [0, 1])}, target)
    hp = keras_tuner.HyperParameters()
    hp.values = {"token": "characters"}
    model = TextSpace(summary_of(data)).build(hp)
    joined = model.end_to_end()
    joined.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(tf.constant(texts)), joined(tf.constant(texts)), atol=1e-6)


def test_texts_without_a_token_cannot_be_learned_from(tmp_path: Path) -> None:
    target = TargetFacts(task="classification", dtype="int64", class_names=("a", "b"))
    data = write_texts(tmp_path / "prepared", {"train": (["", " "], [0, 1]), "validation": ([""], [0])}, target)
    hp = keras_tuner.HyperParameters()
    hp.values = {"token": "words"}
    with pytest.raises(ValueError, match="the training texts contain no token"):
        TextSpace(summary_of(data)).build(hp)


def test_tf_idf_is_what_adapt_gives(data: PreparedData, build: Build) -> None:
    model = build(MODELS["tf_idf"])
    column = data.split("train").inputs[0]
    layer = keras.layers.TextVectorization(output_mode="tf_idf", standardize=None, ngrams=2)
    layer.adapt(column.rows(np.arange(len(column))))
    assert model.preprocessing is not None
    bags = {name: np.asarray(each) for name, each in model.preprocessing(_raw(data)).items()}
    given = np.zeros((len(bags["tokens"]), layer.vocabulary_size()), np.float32)
    np.add.at(given, (np.arange(len(given))[:, None], bags["tokens"]), bags["weights"])
    # What is not in the vocabulary is left out of a bag, and its length is one. Equally frequent tokens may have other
    # numbers.
    wanted = np.array(layer(_raw(data)))[:, 1:]
    wanted /= np.maximum(np.linalg.norm(wanted, axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(np.sort(given)[:, 1:], np.sort(wanted), rtol=1e-5)
