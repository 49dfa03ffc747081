"""x, y and weights reach ``fit`` as plain Keras gives them to a model: structures, shapes, dtypes and every value."""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.data.batches import BatchFormat, evaluation_batches
from tuner.data.cache import prepare
from tuner.errors import DataError
from tuner.spec.data import Python

COUNT = 8


class Witness(keras.Model):
    """Keeps what its only step is given; its loss depends on every element."""

    def __init__(self):
        super().__init__()
        self.seen = None

    def call(self, inputs):
        return inputs

    def train_step(self, data):
        self.seen = data
        loss = tf.constant(0.0, tf.float64)
        for place, leaf in enumerate(tf.nest.flatten(data)):
            flat = tf.reshape(tf.cast(leaf, tf.float64), (-1,))
            loss += tf.reduce_sum(flat * tf.range(1, len(flat) + 1, dtype=tf.float64)) * (place + 1)
        return {"loss": loss}


def fitted(*arguments, **keys):
    """What a model is given, and its loss."""
    witness = Witness()
    witness.compile(run_eagerly=True)
    history = witness.fit(*arguments, verbose=0, shuffle=False, **keys)
    return witness.seen, history.history["loss"][0]


def assert_same(mine, keras_own):
    (seen, loss), (expected, expected_loss) = mine, keras_own
    tf.nest.assert_same_structure(seen, expected)
    for one, other in zip(tf.nest.flatten(seen), tf.nest.flatten(expected), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one.numpy(), other.numpy())
    assert loss == expected_loss


def prepared(load, folder):
    source = Path(folder) / "own_data.py"
    source.write_text("def load():\n    import sys\n    return sys.tuner_test_result()\n")
    sys.tuner_test_result = load
    try:
        return prepare(Python(kind="python", source=f"{source}:load"), Path(folder) / "cache")
    finally:
        del sys.tuner_test_result


def batches(load):
    """All examples as the training of a plain hypermodel gets them, in one batch and in their order."""
    with tempfile.TemporaryDirectory() as folder:
        return evaluation_batches(prepared(load, folder), COUNT, BatchFormat(), "train")


DTYPES = ("float64", "float32", "float16", "int8", "int32", "int64", "uint8", "uint64", "bool")
NAMES = st.lists(st.sampled_from(["a", "b", "c_1", "d"]), min_size=1, max_size=3, unique=True)


@st.composite
def arrays(draw, dtypes=DTYPES, shapes=((), (1,), (2,), (3, 1), (2, 2, 3))):
    shape, dtype = draw(st.sampled_from(shapes)), draw(st.sampled_from(dtypes))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, (COUNT, *shape))
    # No class is missing and none is alone, whatever is drawn.
    values[0], values[1] = 0, 1
    return (values / 8 if np.dtype(dtype).kind == "f" else values).astype(dtype)


@st.composite
def structures(draw, leaf, depth=1):
    kinds = ["single", "tuple", "dict"] if depth >= 0 else ["single"]
    kind = draw(st.sampled_from(kinds))
    if kind == "single":
        return draw(leaf)
    if kind == "dict":
        return {name: draw(structures(leaf, depth - 1)) for name in sorted(draw(NAMES))}
    return tuple(draw(structures(leaf, depth - 1)) for _ in range(draw(st.integers(1, 3))))


def weights_for(draw, y):
    """Weights of the examples, or of what y has in each place."""
    if not tf.nest.is_nested(y) or draw(st.booleans()):
        shape = draw(st.sampled_from([(COUNT,), (COUNT, 1)]))
        if not tf.nest.is_nested(y) and y.ndim > 2 and draw(st.booleans()):
            shape = y.shape[:-1]
        return np.random.default_rng(1).random(shape).astype(draw(st.sampled_from(["float64", "float32"])))
    draw_like = np.random.default_rng(2).random
    return tf.nest.map_structure(lambda each: draw_like(each.shape[: max(1, each.ndim - 1)]), y)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_arrays_reach_a_model_as_fit_gives_them(data):
    x, y = data.draw(structures(arrays())), data.draw(structures(arrays()))
    weights = weights_for(data.draw, y) if data.draw(st.booleans()) else None
    given_back = {"train": (x, y) if weights is None else (x, y, weights), "validation": (x, y, weights)}
    if weights is None:
        given_back["validation"] = (x, y)
    assert_same(fitted(batches(lambda: given_back)), fitted(x, y, sample_weight=weights, batch_size=COUNT))


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_datasets_reach_a_model_as_they_are(data):
    parts = [data.draw(structures(arrays()))]
    if data.draw(st.booleans()):
        parts.append(data.draw(structures(arrays())))
    element = tuple(parts) if len(parts) > 1 or data.draw(st.booleans()) or isinstance(parts[0], tuple) else parts[0]

    def load():
        whole = tf.data.Dataset.from_tensor_slices(element).batch(3)
        return {"train": whole, "validation": whole}

    plain = tf.data.Dataset.from_tensor_slices(element).batch(COUNT)
    assert_same(fitted(batches(load)), fitted(plain))


@pytest.mark.parametrize("x", [np.ones((COUNT, 3)), {"a": np.ones((COUNT, 3))}, (np.ones((COUNT, 3)), np.ones(COUNT))])
def test_data_without_labels_comes_as_keras_gives_it(x):
    alone = {"train": (x,), "validation": (x,)}
    assert_same(fitted(batches(lambda: alone)), fitted(x, batch_size=COUNT))


X, Y, STEPS = np.ones((COUNT, 4)), np.arange(COUNT) % 2, np.ones((COUNT, 5, 2))


@pytest.mark.parametrize(
    "given_back, message",
    [
        ((X, Y, X), "the weights, the third part of the data, have the shape (examples, 4) and y has (examples)"),
        ((X, Y, np.array(["a"] * COUNT)), "the third part of the data, are strings, not numbers"),
        ((X, {"a": Y, "b": Y}, {"a": np.ones(COUNT)}), "the weights are a and the targets a, b: give one array of"),
        ((X, {"a": Y, "b": STEPS}, np.ones((COUNT, 5))), "one array of weights for several targets has one number"),
        ((X, STEPS, np.ones((COUNT, 4))), "have the shape (examples, 4) and y has (examples, 5, 2)"),
        (((X, None), Y), "a tuple or dict of arrays contains None"),
        ((X, STEPS, -np.ones((COUNT, 5))), "the weight is not a number of at least 0"),
    ],
)
def test_what_cannot_be_weights_is_refused(tmp_path, given_back, message):
    with pytest.raises(DataError) as caught:
        prepared(lambda: given_back, tmp_path)
    assert message in str(caught.value)


def slices():
    return tf.data.Dataset.from_tensor_slices((np.ones((60, 12, 4)), np.ones((60, 12, 2))))


def generated(shape):
    signature = (tf.TensorSpec(shape), tf.TensorSpec(shape))
    return tf.data.Dataset.from_generator(lambda: iter([(np.ones((12, 4)),) * 2] * 6), output_signature=signature)


SEQUENCES = np.random.default_rng(0).normal(size=(60, 12, 4)).astype("float32")


@pytest.mark.parametrize(
    "load, examples",
    [
        (slices, 60),
        (lambda: slices().shuffle(60, seed=1).map(lambda x, y: (x * 2, y)).prefetch(2), 60),
        (lambda: slices().batch(12).unbatch(), 60),
        (lambda: slices().batch(7), 60),
        (lambda: slices().batch(12, drop_remainder=True).map(lambda x, y: (x, x)), 60),
        (lambda: tf.data.Dataset.from_tensor_slices(SEQUENCES).batch(12, drop_remainder=True), 60),
        (lambda: tf.data.Dataset.from_tensor_slices(SEQUENCES), 60),
        (lambda: tf.data.Dataset.from_tensors((SEQUENCES, SEQUENCES)), 60),
        (lambda: tf.data.Dataset.zip((slices().batch(6), slices().batch(6))), 60),
        (lambda: tf.data.Dataset.zip((slices(), slices())), 60),
        (lambda: slices().concatenate(slices()), 120),
        (lambda: generated((12, 4)), None),
        (lambda: generated((None, 4)), None),
        (lambda: slices().window(3).flat_map(lambda x, y: x.batch(3)).map(lambda x: (x, x)), None),
    ],
)
def test_examples_are_not_torn(tmp_path, load, examples):
    if examples is None:
        with pytest.raises(DataError, match=r"cannot be told whether the elements .* data.batched: true or false"):
            prepared(load, tmp_path)
    else:
        data = prepared(load, tmp_path)
        assert sum(len(split) for split in data.splits.values()) == examples
        assert data.inputs[0].shape == (12, 4)
        assert all("data.batched says otherwise" in note for note in data.notes) and data.notes


@pytest.mark.parametrize("batched, examples", [(True, 72), (False, 6)])
def test_the_spec_settles_what_elements_are(tmp_path, batched, examples):
    source = tmp_path / "settled.py"
    source.write_text(
        "import numpy as np\nimport tensorflow as tf\n\ndef load():\n    signature = tf.TensorSpec((None, 4))\n"
        "    rows = lambda: iter([np.ones((12, 4))] * 6)\n"
        "    return tf.data.Dataset.from_generator(rows, output_signature=signature)\n"
    )
    data = prepare(Python(kind="python", source=f"{source}:load", batched=batched), tmp_path / "cache")
    assert sum(len(split) for split in data.splits.values()) == examples


A, B = np.ones((20, 3)), np.arange(20) % 2


@pytest.mark.parametrize(
    "returned, structure, sizes",
    [
        (((A, A[:, :2]), (B, B * 2.0)), ("tuple", "tuple"), (16, 4)),
        (((A, A[:, :2]), (B,), (B * 1.0,)), ("tuple", "tuple"), (16, 4)),
        (((A, B), (A[:6], B[:6])), ("single", "single"), (20, 6)),
        (([A, A], B), ("tuple", "single"), (16, 4)),
        ([A, B], ("single", "single"), (16, 4)),
        ((A, list(B)), ("single", "single"), (16, 4)),
        (((A, None), (A[:6], None)), ("single", "single"), (20, 6)),
        (((A, (A, {"c": A})), B), ('[0, [1, {"c": 2}]]', "single"), (16, 4)),
    ],
)
def test_tuples_are_read_by_what_they_hold(tmp_path, returned, structure, sizes):
    data = prepared(lambda: returned, tmp_path)
    assert (data.structure, data.target_structure) == structure
    assert tuple(len(split) for split in data.splits.values()) == sizes


def test_tuples_that_may_be_two_things_are_refused(tmp_path):
    with pytest.raises(DataError, match="may be the x and y of one data set, or the data sets of train and validation"):
        prepared(lambda: ((A, A), (A, A)), tmp_path)


def test_nested_inputs_of_zipped_datasets(tmp_path):
    def load():
        a, b = (tf.data.Dataset.from_tensor_slices(A * scale) for scale in (1, 2))
        return tf.data.Dataset.zip((tf.data.Dataset.zip((a, b)), tf.data.Dataset.from_tensor_slices(B))).batch(4)

    data = prepared(load, tmp_path)
    (first, second), y = next(iter(evaluation_batches(data, 16, BatchFormat(), "train")))
    assert np.array_equal(first * 2, second)
    assert y.shape == (16,)
