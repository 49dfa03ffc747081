"""ONNX files of models with layers of every kind, beside Keras, in the plain ONNX Runtime."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from search_spaces.statistics import Tokenization
from search_spaces.text_standardization import standardizer
from tuner.champion.formats.onnx.model import write_onnx
from tuner.champion.formats.refusal import FormatRefused

pytestmark = pytest.mark.slow

_ALPHABETS = "Ünïcödé ΣΑΣ"
TEXTS = [
    "Hello, World! hello",
    "",
    "   ",
    "A\tb\nC\vd\fe\rf  ",
    "É é CAFÉ \u00a0 x " + _ALPHABETS,
    "\x1c a \x1d",
    "a!b a-b ... a b",
    "[UNK] world",
    "x\0y",
    "漢字漢字 ab",
    "\ue000\ue001 hi",
    "the end " * 40,
]
CATEGORIES = ["Rome", "Oslo, north", "", "nowhere", "é", "[UNK]", "-1"]
INTEGERS = [1, 2, 3, 0, -1, 5, 2**63 - 1, -(2**63), 7_000_000_000]


def _strings(values: list[str]) -> Any:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _written(model: keras.Model, file: Path, **outputs: str) -> onnxruntime.InferenceSession:
    """The file of a model with one input, whose outputs are named so."""
    [given] = model.inputs
    spec = tf.TensorSpec((None, *given.shape[1:]), given.dtype, name="x")

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(model(x, training=False))

    write_onnx(model, call, [spec], file)
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def _same(model: keras.Model, session: onnxruntime.InferenceSession, values: Any) -> None:
    """Every output for every batch is Keras's own."""
    names = [each.name for each in session.get_outputs()]
    for size in (1, 2, len(values)):
        for start in range(0, len(values), size):
            x = values[start : start + size]
            expected = model(tf.constant(x.tolist() if x.dtype == object else x), training=False)
            found = dict(zip(names, session.run(names, {"x": x}), strict=True))
            for name, given in expected.items():
                assert found[name].dtype == np.asarray(given).dtype, name
                np.testing.assert_array_equal(found[name], np.asarray(given), err_msg=f"{name} of {x}")


def _branches(given: Any, layers: dict[str, keras.layers.Layer]) -> keras.Model:
    return keras.Model(given, {name: layer(given) for name, layer in layers.items()})


@pytest.mark.fast
def test_tokens_of_texts(tmp_path: Path) -> None:
    words = ["hello", "world", "a", "b", "ab", "café", "cafÉ", "é", "c d", "unk", "the", "Hello,", "hello world", "a b"]
    layers: dict[str, keras.layers.Layer] = {}
    standards = (None, "lower", "strip_punctuation", "lower_and_strip_punctuation")
    for place, standardize in enumerate(standards):
        made = {"standardize": standardize, "vocabulary": words}
        layers[f"sequence_{place}"] = keras.layers.TextVectorization(output_sequence_length=5, **made)
        layers[f"count_{place}"] = keras.layers.TextVectorization(output_mode="count", ngrams=1 + place % 3, **made)
    layers["longest"] = keras.layers.TextVectorization(vocabulary=words)
    layers["multi_hot"] = keras.layers.TextVectorization(
        output_mode="multi_hot", vocabulary=words, max_tokens=20, pad_to_max_tokens=True, ngrams=2
    )
    weights = np.linspace(0.5, 2, len(words))
    layers["tf_idf"] = keras.layers.TextVectorization(output_mode="tf_idf", vocabulary=words, idf_weights=weights)
    model = _branches(keras.Input((), dtype="string"), layers)
    _same(model, _written(model, tmp_path / "model.onnx"), _strings(TEXTS))


def test_characters_of_texts(tmp_path: Path) -> None:
    layers = {}
    for place, (standardize, ngrams) in enumerate([(None, None), ("lower", 3), ("lower_and_strip_punctuation", 2)]):
        layer = keras.layers.TextVectorization(
            split="character", standardize=standardize, ngrams=ngrams, output_mode="count", max_tokens=60
        )
        layer.adapt(tf.constant(TEXTS[:8]))
        layers[f"count_{place}"] = layer
    model = _branches(keras.Input((1,), dtype="string"), layers)
    _same(model, _written(model, tmp_path / "model.onnx"), _strings(TEXTS)[:, np.newaxis])


WORLD = [
    *("ÉCOLE «Über», Ærø…", "“Don’t” — nice $5", "ЁЛКА Щука", "ΟΔΟΣ, οδος ΣΊΣΥΦΟΣ· Σ", "İZMİR Iğdır", "STRAẞE Straße"),
    *(
        "ԲԱՐԵՎ, աշխարհ։",
        "مرحبا، العالم؟",
        "שלום־עולם״",
        "नमस्ते। दुनिया॥",
        "안녕하세요, 세계!",
        "Nice 😀👍🏽!",
        "E\u0301cole",
    ),
    *(
        "a\u00a0B\u3000c\u2009d\u2028e\u200bf\u0085g\x0bh",
        "你好，世界。",
        "ＨＥＬＬＯ！ （ｏｋ）",
        "…—“”、。",
        "",
        "𐐀 𐄀 ǅ K",
    ),
]


@pytest.mark.parametrize("split", ["whitespace", "character"])
def test_texts_of_the_world(split: str, tmp_path: Path) -> None:
    layers: dict[str, keras.layers.Layer] = {}
    for name in (None, "lower", "strip_punctuation", "lower_and_strip_punctuation"):
        made = {"standardize": standardizer(Tokenization(name, split, rules="unicode")), "split": split}
        layers[f"count_{name}"] = keras.layers.TextVectorization(output_mode="count", ngrams=2, **made)
        if split == "whitespace":
            layers[f"sequence_{name}"] = keras.layers.TextVectorization(output_sequence_length=5, **made)
    for layer in layers.values():
        # Of some, so that others are unknown.
        layer.adapt(tf.constant([*WORLD[::2], WORLD[3].lower(), WORLD[1]]))
    model = _branches(keras.Input((), dtype="string"), layers)
    texts = [*WORLD, *(text.lower() for text in WORLD), *(text.upper() for text in WORLD)]
    _same(model, _written(model, tmp_path / "model.onnx"), _strings(texts))


_MODES = ("int", "one_hot", "multi_hot", "count")


@pytest.mark.fast
@pytest.mark.parametrize("shape", [(), (1,)])
def test_lookups_of_strings(shape: tuple[int, ...], tmp_path: Path) -> None:
    layers = {
        f"{mode}_{place}": keras.layers.StringLookup(
            vocabulary=["Rome", "Oslo, north"], mask_token=mask, output_mode=mode
        )
        for mode, (place, mask) in itertools.product(_MODES, enumerate([None, ""]))
    }
    model = _branches(keras.Input(shape, dtype="string"), layers)
    values = _strings(CATEGORIES).reshape((-1, *shape))
    _same(model, _written(model, tmp_path / "model.onnx"), values)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_lookups_of_integers(shape: tuple[int, ...], tmp_path: Path) -> None:
    layers = {
        f"{mode}_{place}_{unknown}": keras.layers.IntegerLookup(
            vocabulary=[-(2**63), 1, 2, 3, 2**63 - 1], mask_token=mask, output_mode=mode, num_oov_indices=unknown
        )
        for mode, (place, mask), unknown in itertools.product(_MODES, enumerate([None, 0]), (1, 3))
    }
    model = _branches(keras.Input(shape, dtype="int64"), layers)
    values = np.array(INTEGERS).reshape((-1, *shape))
    _same(model, _written(model, tmp_path / "model.onnx"), values)


@pytest.mark.fast
def test_numbers(tmp_path: Path) -> None:
    given = keras.Input((3,))
    bins = {
        mode: keras.layers.Discretization(bin_boundaries=[-1.0, 0.0, 0.1, 2.5], output_mode=mode)(given)
        for mode in ("int", "one_hot")
    }
    missing = keras.ops.cast(keras.ops.isnan(given), "float32")
    filled = keras.ops.where(keras.ops.isnan(given), 0.0, given)
    model = keras.Model(given, bins | {"missing": missing, "filled": filled})
    values = np.array([[-1, 0, 0.1], [2.5, -2, 7], [np.nan, 0.05, 3e38]], np.float32)
    _same(model, _written(model, tmp_path / "model.onnx"), values)


NUMBERS = np.array(
    [0, -0.0, 1e-30, 1e-8, -1e-8, 0.5, -0.5, -1, -2, 1, 10, 88, -300, 3e38, -3e38, np.inf, -np.inf, np.nan], np.float32
)


def test_functions_of_numbers_of_every_size(tmp_path: Path) -> None:
    given = keras.Input(())
    layers = {"log1p": keras.ops.log1p, "expm1": keras.ops.expm1, "gelu": keras.layers.Activation("gelu")}
    model = _branches(given, layers)
    session = _written(model, tmp_path / "model.onnx")
    names = [each.name for each in session.get_outputs()]
    expected = model(NUMBERS, training=False)
    for name, found in zip(names, session.run(names, {"x": NUMBERS}), strict=True):
        tolerance = {"rtol": 1e-6, "atol": 1e-6 if name == "gelu" else 1e-44}
        np.testing.assert_allclose(found, expected[name], err_msg=name, **tolerance)


def test_what_is_not_chosen_does_not_matter(tmp_path: Path) -> None:
    given = keras.Input(())
    finite = keras.ops.nan_to_num(given, nan=7.0)
    positive = keras.ops.where(given > 0, given, -1.0)
    binned = keras.layers.Discretization(bin_boundaries=[-1.0, 0.0, 50.0])(finite)
    model = keras.Model(given, {"finite": finite, "positive": positive, "binned": binned})
    _same(model, _written(model, tmp_path / "model.onnx"), NUMBERS)


@pytest.mark.parametrize("columns", [2, 200])
def test_constants_of_a_model_are_no_inputs(columns: int, tmp_path: Path) -> None:
    means, variances = np.linspace(-1, 1, columns), np.linspace(1, 2, columns)
    model = _branches(keras.Input((columns,)), {"y": keras.layers.Normalization(mean=means, variance=variances)})
    session = _written(model, tmp_path / "model.onnx")
    assert [each.name for each in session.get_inputs()] == ["x"]
    values = np.random.default_rng(0).normal(size=(3, columns)).astype(np.float32)
    np.testing.assert_allclose(session.run(["y"], {"x": values})[0], model(values, training=False)["y"], rtol=1e-6)


def test_codes_that_cross(tmp_path: Path) -> None:
    given = keras.Input((2,), dtype="int64")
    one = keras.layers.IntegerLookup(vocabulary=[1, 2, 3])(given[:, 0])
    other = keras.layers.IntegerLookup(vocabulary=[1, 2, 3, 4])(given[:, 1])
    crossed = keras.layers.HashedCrossing(16)((one, other))
    model = keras.Model(given, {"crossed": crossed})
    values = np.array(list(itertools.product(range(5), range(6))))
    _same(model, _written(model, tmp_path / "model.onnx"), values)


def test_augmentations_leave_nothing(tmp_path: Path) -> None:
    given = keras.Input((8, 8, 3))
    x = keras.layers.RandomRotation(0.2)(keras.layers.RandomFlip()(keras.layers.Rescaling(1 / 255)(given)))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.5)(keras.layers.Conv2D(4, 3)(x)))
    model = keras.Model(given, {"y": keras.layers.Dense(2)(x)})
    session = _written(model, tmp_path / "model.onnx")
    values = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(session.run(["y"], {"x": values})[0], model(values, training=False)["y"], atol=1e-5)
    kinds = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert not {each for each in kinds if "Random" in each}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_what_trained_in_16_bits_is_computed_in_32(policy: str, tmp_path: Path) -> None:
    given = keras.Input((4,))
    hidden = keras.layers.Dense(8, "relu", dtype=policy)(given)
    model = keras.Model(given, {"y": keras.layers.Dense(2, dtype=policy)(hidden)})
    session = _written(model, tmp_path / "model.onnx")
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(session.run(["y"], {"x": values})[0], model(values, training=False)["y"], atol=0.05)
    assert [layer.compute_dtype for layer in model.layers[1:]] == [policy.removeprefix("mixed_")] * 2


def test_only_standard_operations(tmp_path: Path) -> None:
    model = _branches(
        keras.Input((), dtype="string"), {"y": keras.layers.TextVectorization(vocabulary=["a"], output_mode="count")}
    )
    _written(model, tmp_path / "model.onnx")
    written = onnx.load(tmp_path / "model.onnx")
    assert {each.domain for each in written.opset_import} == {"", "ai.onnx.ml"}
    assert not written.functions


@keras.saving.register_keras_serializable("tests")
def _shouted(texts: Any) -> Any:
    return tf.strings.upper(texts)


REFUSED: dict[str, tuple[Any, str]] = {
    "characters of scripts without blanks": (
        lambda: keras.layers.TextVectorization(
            standardize=standardizer(Tokenization(rules="unspaced")), vocabulary=["a"]
        ),
        "divides texts into characters where a script has no blanks",
    ),
    "own code": (lambda: keras.layers.TextVectorization(standardize=_shouted, vocabulary=["A"]), "code of its own"),
    "an order of characters": (
        lambda: keras.layers.TextVectorization(split="character", vocabulary=["a"]),
        "which ONNX can count",
    ),
    "an order of n-grams": (lambda: keras.layers.TextVectorization(ngrams=2, vocabulary=["a"]), "n-grams"),
    "a hash": (lambda: keras.layers.Hashing(8), "hashes values, and ONNX has no op for that"),
    "hashes of unknown categories": (
        lambda: keras.layers.StringLookup(vocabulary=["a"], num_oov_indices=2),
        "spreads unknown categories over 2 codes by their hash",
    ),
    "no unknown categories": (
        lambda: keras.layers.StringLookup(vocabulary=["a"], num_oov_indices=0),
        "fails on unknown",
    ),
    "strings from codes": (lambda: _Reversed(), "ONNX cannot represent it: "),
}


@keras.saving.register_keras_serializable("tests")
class _Reversed(keras.layers.Layer):
    """An operation that the converter does not know."""

    def call(self, inputs: Any) -> Any:
        return tf.strings.length(tf.strings.regex_replace(inputs, "a+", "b"))


@pytest.mark.fast
@pytest.mark.parametrize("case", REFUSED)
def test_what_onnx_cannot_carry_is_refused_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    make, says = REFUSED[case]
    layer = make()
    model = keras.Model(given := keras.Input((), dtype="string"), {"y": layer(given)})
    with pytest.raises(FormatRefused) as refused:
        _written(model, tmp_path / "model.onnx")
    assert says in refused.value.reason and refused.value.alternative.startswith("use saved_model")
    assert "\n" not in refused.value.reason and len(refused.value.reason) < 300
    assert list(tmp_path.iterdir()) == []
    model(tf.constant(["a"]))
