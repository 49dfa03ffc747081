import numpy as np
import pytest

from tuner.data.batches import BatchFormat, evaluation_batches
from tuner.data.cache import prepare
from tuner.data.summary import summary_of
from tuner.errors import DataError
from tuner.spec.data import Npz


@pytest.fixture
def arrays(tmp_path):
    """Prepares arrays saved under the names given."""

    def make(compressed=False, keys=None, **named):
        save = np.savez_compressed if compressed else np.savez
        save(tmp_path / "data.npz", **named)
        return prepare(Npz(kind="npz", path=tmp_path / "data.npz", **(keys or {})), tmp_path / "cache")

    return make


LABELS = np.arange(20) % 2


def whole(prepared):
    """Inputs and targets of all splits in the order of the file."""
    rows, x, y = [], [], []
    for name, split in prepared.splits.items():
        batch = next(iter(evaluation_batches(prepared, len(split), BatchFormat(), name)))
        rows += split.origin.rows.tolist()
        x += list(batch[0].numpy())
        y += list(batch[1].numpy())
    order = np.argsort(rows)
    return np.array(x)[order], np.array(y)[order]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_copied_in_pieces(arrays, monkeypatch, compressed, order):
    monkeypatch.setattr("tuner.data.values._PIECE_BYTES", 100)
    x = np.arange(20 * 6, dtype=np.float64).reshape(20, 2, 3, order=order)
    prepared = arrays(compressed, x=x, y=LABELS)
    assert [(each.kind, each.shape, each.dtype) for each in prepared.inputs] == [("array", (2, 3), "float32")]
    found, labels = whole(prepared)
    assert np.array_equal(found, x)
    assert np.array_equal(labels, LABELS)
    assert prepared.class_counts("train") == (8, 8)


def test_images_and_splits_of_their_own(arrays):
    pixels = np.arange(30 * 4 * 4 * 3).reshape(30, 4, 4, 3).astype(np.uint8)
    labels = np.arange(30).reshape(30, 1) % 3
    prepared = arrays(
        x_train=pixels[:20], y_train=labels[:20], x_val=pixels[20:25], y_val=labels[20:25],
        x_test=pixels[25:], y_test=labels[25:],
    )  # fmt: skip
    assert {name: len(split) for name, split in prepared.splits.items()} == {"train": 20, "validation": 5, "test": 5}
    assert (prepared.inputs[0].kind, prepared.inputs[0].shape) == ("image", (4, 4, 3))
    assert prepared.class_names == ("0", "1", "2")
    test = prepared.splits["test"]
    assert np.array_equal(test.inputs[0].values, pixels[25:])
    assert test.targets[0].tolist() == labels[25:].tolist()
    assert test.origin.rows.tolist() == list(range(5))
    parts = arrays(x_train=pixels[:24], y_train=labels[:24], x_test=pixels[24:], y_test=labels[24:])
    assert {name: len(split) for name, split in parts.splits.items()} == {"train": 18, "validation": 6, "test": 6}


def test_texts_labels_as_strings_and_weights(arrays):
    texts = np.array([f"text {i} ä" for i in range(20)])
    prepared = arrays(x=texts, y=np.array(["ham", "spam"])[LABELS], w=np.arange(20) / 2)
    assert [(each.kind, each.column) for each in prepared.inputs] == [("text", "strings")]
    assert prepared.class_names == ("ham", "spam")
    assert [text.decode() for text in whole(prepared)[0]] == texts.tolist()
    train = prepared.splits["train"]
    assert np.array_equal(train.weights[0], train.origin.rows / 2)
    assert summary_of(prepared).inputs[0].statistics.words == (3,) * 101


@pytest.mark.parametrize(
    "y, keys, task, shape, dtype, names",
    [
        (LABELS + 9, {}, "classification", (), "int64", ("9", "10")),
        (LABELS == 1, {}, "classification", (), "bool", ("0", "1")),
        (LABELS * 0.5, {}, "regression", (), "float32", ()),
        (LABELS * 0.5, {"task": "classification"}, "classification", (), "float32", ("0.0", "0.5")),
        (LABELS, {"task": "regression"}, "regression", (), "int64", ()),
        (np.eye(3)[np.arange(20) % 3], {}, "classification", (3,), "float32", ("0", "1", "2")),
        (LABELS.reshape(20, 1), {}, "classification", (1,), "int64", ("0", "1")),
        (LABELS.reshape(20, 1) * 0.5, {}, "regression", (1,), "float32", ()),
        (np.arange(40)[::2].astype(np.int16) % 39, {}, "classification", (), "int16", tuple(map(str, range(0, 39, 2)))),
        (np.eye(3)[np.arange(20) % 3], {"task": "multi_label"}, "multi_label", (3,), "float32", ("0", "1", "2")),
        (np.arange(60).reshape(20, 3) % 2, {}, "multi_label", (3,), "int64", ("0", "1", "2")),
        (np.arange(60).reshape(20, 3) / 2, {}, "regression", (3,), "float32", ()),
        (np.arange(80).reshape(20, 2, 2), {}, "regression", (2, 2), "int64", ()),
    ],
)
def test_the_task_follows_from_dtype_and_shape(arrays, y, keys, task, shape, dtype, names):
    prepared = arrays(x=np.zeros((20, 2)), y=y, keys=keys)
    target = prepared.targets[0]
    assert (target.task, target.shape, target.dtype, target.class_names) == (task, shape, dtype, names)
    if task == "regression":
        train = np.asarray(prepared.splits["train"].targets[0], np.float64).reshape(16, -1)
        assert np.allclose(target.statistics["mean"], train.mean(axis=0))
        assert np.allclose(target.statistics["variance"], train.var(axis=0))
        assert np.allclose(target.statistics["least"], train.min(axis=0))
    if task != "classification" or y.dtype.kind != "S":
        assert np.array_equal(whole(prepared)[1], y)


PICKLED = np.array([{"a": 1}] * 20, dtype=object)
BAD = {
    "pickled": ({"x": PICKLED, "y": LABELS}, "'x' holds pickled Python objects, which are not read because"),
    "lengths": ({"x": np.zeros((20, 2)), "y": LABELS[:19]}, "differ in length: x has 20, y has 19 examples"),
    "names": ({"features": np.zeros((20, 2)), "y": LABELS}, "has 'features', 'y': arrays are named x and y"),
    "more names": ({"x": np.zeros((20, 2)), "y": LABELS, "z": LABELS}, "also has 'z': arrays are named"),
    "two names": ({"x": np.zeros((20, 2)), "x_train": LABELS}, "has both 'x_train' and 'x': keep one"),
    "shapes": ({"x_train": np.zeros((20, 2)), "x_val": np.zeros((5, 3))}, "has x (3,) of floats, but the train data x"),
    "NaN": ({"x": np.zeros((3, 2)), "y": [1.5, np.nan, 2]}, "1 example of {file} cannot be used: example 1 (the"),
    "infinite": ({"x": np.zeros((2, 2)), "y": np.array([[0.5, 1], [np.inf, 2]])}, "example 1 (the target holds NaN or"),
    "weight": ({"x": np.zeros((2, 2)), "y": [0, 1], "w": [1, -1]}, "example 1 (the weight is not a number of at"),
    "empty text": ({"x": np.array(["a", " "]), "y": [0, 1]}, "example 1 (the text is empty)"),
    "one class": ({"x": np.zeros((2, 2)), "y": [1, 1]}, "the target holds only one class ('1'): classification needs"),
    "empty": ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "the train data is empty"),
    "complex": ({"x": np.zeros((4, 2), complex), "y": [0, 1] * 2}, "input '' holds complex128 (2,), which no model"),
    "classes": (
        {"x_train": np.zeros(4), "y_train": [0, 1] * 2, "x_val": np.zeros(2), "y_val": [0, 2]},
        "the validation data has the class '2' (example 1), which the train data lacks",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_refused(arrays, tmp_path, case):
    named, message = BAD[case]
    with pytest.raises(DataError) as caught:
        arrays(**named)
    assert message.format(file=tmp_path / "data.npz") in str(caught.value)


def test_bad_examples_are_left_out_if_asked(arrays):
    y = np.where(np.arange(20) == 7, np.nan, np.arange(20.0) / 3)
    prepared = arrays(x=np.arange(20.0), y=y, keys={"on_error": "skip"})
    assert prepared.describe()["skipped_files"] == [{"file": "example 7", "reason": "the target is NaN or infinite"}]
    assert 7.0 not in whole(prepared)[0]
    assert sum(len(split) for split in prepared.splits.values()) == 19


def test_files_that_are_no_npz(tmp_path, arrays):
    for name, content, message in [
        ("none.npz", None, "does not exist"),
        ("text.npz", b"no zip file", r"is not an .npz file"),
        ("empty.npz", b"", r"is not an .npz file"),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            prepare(Npz(kind="npz", path=tmp_path / name), tmp_path / "cache")
    arrays(x=np.random.default_rng(0).random((2000, 8)), y=np.arange(2000) % 2)
    content = bytearray((tmp_path / "data.npz").read_bytes())
    content[40_000] ^= 0xFF
    (tmp_path / "damaged.npz").write_bytes(content)
    with pytest.raises(DataError, match="array 'x' is damaged"):
        prepare(Npz(kind="npz", path=tmp_path / "damaged.npz"), tmp_path / "cache")
