import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tuner.data.batches import BatchFormat, evaluation_batches
from tuner.data.cache import prepare
from tuner.data.summary import summary_of
from tuner.errors import DataError
from tuner.spec.data import Python

X, Y = np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20) % 2


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Prepares what a function returns."""
    source = tmp_path / "my_data.py"
    source.write_text("def load(**args):\n    import sys\n    return sys.tuner_test_result(**args)\n")

    def run(function, **keys):
        monkeypatch.setattr(sys, "tuner_test_result", function, raising=False)
        monkeypatch.delitem(sys.modules, "my_data", raising=False)
        return prepare(Python(kind="python", source=f"{source}:load", **keys), tmp_path / "cache")

    return run


def columns(prepared, name):
    return next(iter(evaluation_batches(prepared, 999, BatchFormat(), name)))


class Batches(keras.utils.PyDataset):
    def __init__(self, count=4, endless=False):
        super().__init__()
        self._count, self._endless = count, endless

    @property
    def num_batches(self):
        return None if self._endless else self._count

    def __getitem__(self, index):
        rows = slice(index * 6, index * 6 + 6)
        return X[rows], Y[rows]


DATASET = tf.data.Dataset.from_tensor_slices((X, Y))
SAME = {
    "arrays": (X, Y),
    "tensors": (tf.constant(X), tf.constant(Y)),
    "lists": (X.tolist(), Y.tolist()),
    "unbatched": DATASET,
    "batched": DATASET.batch(6),
    "remainder dropped": DATASET.batch(5, drop_remainder=True),
    "py dataset": Batches(),
}


@pytest.mark.parametrize("kind", SAME)
def test_every_kind_of_data_set(call, kind):
    prepared = call(lambda: {"train": SAME[kind], "validation": SAME[kind]})
    assert {name: len(split) for name, split in prepared.splits.items()} == {"train": 20, "validation": 20}
    x, y = columns(prepared, "validation")
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)
    assert (prepared.class_names, prepared.structure) == (("0", "1"), "single")
    assert prepared.splits["train"].origin.source.endswith("my_data.py:load")


def test_what_may_be_returned(call):
    for returned, sizes in [
        ((X, Y), {"train": 16, "validation": 4}),
        (DATASET, {"train": 16, "validation": 4}),
        (((X, Y), (X[:6], Y[:6])), {"train": 20, "validation": 6}),
        ((DATASET, DATASET.take(5), DATASET.take(4)), {"train": 20, "validation": 5, "test": 4}),
        ({"train": (X, Y), "test": (X[:6], Y[:6])}, {"train": 16, "validation": 4, "test": 6}),
        ({"train": X, "val": X[:3]}, {"train": 20, "validation": 3}),
    ]:
        prepared = call(lambda returned=returned: returned)
        assert {name: len(split) for name, split in prepared.splits.items()} == sizes
    assert prepared.task == "none"


def test_the_spec_s_arguments_reach_the_function(call):
    prepared = call(lambda count, offset: (X[:count] + offset, Y[:count]), args={"count": 10, "offset": 0.5})
    assert sum(len(split) for split in prepared.splits.values()) == 10
    assert columns(prepared, "train")[0].numpy()[0, 0] % 1 == 0.5


def test_several_inputs_and_targets(call):
    x = {"image": np.zeros((20, 4, 4, 1), np.uint8), "text": np.array(["a b"] * 20), "size": X[:, 0]}
    y = {"class": Y, "amount": X[:, 1]}
    prepared = call(lambda: (x, y, {"class": np.ones(20), "amount": X[:, :1]}))
    assert [(each.name, each.kind) for each in prepared.inputs] == [
        ("image", "image"), ("text", "text"), ("size", "array"),
    ]  # fmt: skip
    assert [(each.name, each.task) for each in prepared.targets] == [
        ("class", "classification"),
        ("amount", "regression"),
    ]
    batch, targets, weights = columns(prepared, "train")
    assert (set(batch), set(targets)) == ({"image", "text", "size"}, {"class", "amount"})
    assert np.array_equal(weights["class"], np.ones(16)) and np.array_equal(weights["amount"][:, 0], batch["size"])
    assert np.array_equal(targets["amount"] - batch["size"], np.ones(16))
    prepared = call(lambda: ((X, X + 1), Y))
    assert (prepared.structure, [each.name for each in prepared.inputs]) == ("tuple", ["0", "1"])
    first, second = columns(prepared, "train")[0]
    assert np.array_equal(first + 1, second)


def test_a_dict_of_single_values_is_a_table(call):
    table = {"size": np.where(Y, X[:, 0], np.nan), "rooms": Y + 3, "city": np.array(["Oslo", "Rome"])[Y]}
    prepared = call(lambda: tf.data.Dataset.from_tensor_slices((table, Y)))
    assert {each.name: each.kind for each in prepared.inputs} == {
        "size": "number", "rooms": "integer", "city": "category",
    }  # fmt: skip
    size, rooms, city = (each.statistics for each in summary_of(prepared).inputs)
    assert (size.missing, rooms.values, city.values) == (8, (3, 4), ("Oslo", "Rome"))
    batch = columns(prepared, "train")[0]
    assert {name: values.dtype.name for name, values in batch.items()} == {
        "size": "float32", "rooms": "int64", "city": "string",
    }  # fmt: skip


def test_texts_come_as_they_are(call):
    texts = [f"text {i} ä" for i in range(20)]
    prepared = call(lambda: tf.data.Dataset.from_tensor_slices((texts, Y)).batch(3))
    assert prepared.inputs[0].kind == "text"
    read = [text.decode() for name in ("train", "validation") for text in columns(prepared, name)[0].numpy()]
    assert sorted(read) == sorted(texts)


def test_the_identity_is_what_is_returned(call):
    first = call(lambda shift: (X + shift, Y), args={"shift": 0})
    again = call(lambda: SAME["batched"])
    other = call(lambda shift: (X + shift, Y), args={"shift": 1})
    assert again.folder == first.folder
    assert other.fingerprint != first.fingerprint


def endless():
    return DATASET.repeat()


def ragged():
    return tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1], [1, 2]]), [0, 1]))


def changing():
    def batches():
        yield np.zeros((2, 3)), [0, 1]
        yield np.zeros((2, 4)), [0, 1]

    signature = (tf.TensorSpec((None, None)), tf.TensorSpec((None,), tf.int64))
    return tf.data.Dataset.from_generator(batches, output_signature=signature)


@pytest.mark.parametrize(
    "function, message",
    [
        (endless, "the tf.data.Dataset is endless: leave out repeat"),
        (lambda: Batches(endless=True), "the PyDataset is endless"),
        (ragged, "has ragged or sparse elements"),
        (changing, "it cannot be told whether the elements of the tf.data.Dataset are batches or single examples"),
        (lambda: None, "nothing was returned; allowed are a data set"),
        (lambda: 7, "is not an array of examples; allowed are"),
        (lambda: ((X, Y),) * 4, "4 data sets were returned"),
        (lambda: (X, Y[:7]), "differ in length: 7, 20"),
        (lambda: ((X, Y), (X[:7, :2], Y[:7])), "the validation data has x (2,) of floats, y () of integers, but"),
        (lambda: ((X, Y), ({"a": X[:7]}, Y[:7])), "the validation data is structured differently from the train data"),
        (lambda: (np.array([{}] * 20), Y), "an array of objects holds {}: give numbers of one dtype, or strings"),
        (lambda: (X, np.where(Y, np.nan, 1.0)), "10 examples of data.source"),
        (lambda: (X[:0], Y[:0]), "the train data is empty"),
    ],
)  # fmt: skip
def test_bad_data_is_refused(call, function, message):
    with pytest.raises(DataError) as caught:
        call(function)
    assert message in str(caught.value)
    assert "my_data.py:load" in str(caught.value)


def test_a_source_that_raises_is_quoted(tmp_path):
    source = tmp_path / "broken_data.py"
    source.write_text(
        "import numpy as np\n\ndef load(size):\n    return inner(size)\n\n"
        "def inner(size):\n    return np.reshape(np.zeros(4), (3, size))\n"
    )
    with pytest.raises(DataError) as caught:
        prepare(Python(kind="python", source=f"{source}:load", args={"size": 5}), tmp_path / "cache")
    first, *frames = str(caught.value).splitlines()
    assert first.startswith(f"data.source {source}:load failed: ValueError: cannot reshape array of size 4")
    assert [line.strip() for line in frames if "File" in line] == [
        f'File "{source}", line 4, in load', f'File "{source}", line 7, in inner',
    ]  # fmt: skip
    unfound = tmp_path / "unfound_data.py"
    unfound.write_text("import no_such_module\n")
    with pytest.raises(DataError, match=r"unfound_data.*cannot be imported: ModuleNotFoundError: .*no_such_module"):
        prepare(Python(kind="python", source=f"{unfound}:load"), tmp_path / "cache")


def test_nothing_is_left_of_a_source_that_fails(call, tmp_path):
    with pytest.raises(DataError):
        call(changing)
    assert list((tmp_path / "cache").iterdir()) == []
