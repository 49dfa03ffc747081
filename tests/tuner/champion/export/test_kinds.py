"""Champions of every kind of data: really trained, exported, run again from the raw examples in a clean process."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.exported import Exported, export, verified
from tuner.champion.prediction.predict import predict
from tuner.errors import PredictError

pytestmark = pytest.mark.slow

# Texts with everything that a reader can get wrong: line ends in quotes, other alphabets, quotes, commas.
_WORDS = ("good", "fine", "bad,", "awful", 'so "so"', "über\ntop", "плохо")


def _texts(count: int) -> list[tuple[str, int]]:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, len(_WORDS), rng.integers(1, 6)) for _ in range(count)]
    return [(" ".join(_WORDS[i] for i in row), int((row < 2).sum() + rng.random() > (row >= 2).sum())) for row in rows]


def _vectorizer() -> tuple[Any, Any]:
    import keras

    raw = keras.Input((), dtype="string")
    vocabulary = ["good", "fine", "bad", "awful", "so", "über", "top", "плохо"]
    layer = keras.layers.TextVectorization(output_mode="multi_hot", vocabulary=vocabulary)
    return raw, keras.Model(raw, layer(raw))


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Texts of a compressed CSV file with a byte order mark; two classes, one unit of logits."""
    folder = tmp_path_factory.mktemp("sentiment")
    quoted = ['"{}",{}\r\n'.format(text.replace('"', '""'), ("no", "yes")[label]) for text, label in _texts(120)]
    content = "\ufeffmessage,liked\r\n" + "".join(quoted)
    (folder / "texts.csv.gz").write_bytes(gzip.compress(content.encode()))

    def build() -> Any:
        import keras

        from search_spaces.base import StagedModel

        _, preprocessing = _vectorizer()
        inputs = keras.Input(preprocessing.output.shape[1:])
        network = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dropout(0.5)(inputs)))
        metrics = ["accuracy", keras.metrics.AUC(curve="PR", from_logits=True, name="pr_auc")]
        network.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True), metrics=metrics)
        return StagedModel(network, preprocessing)

    data = {"kind": "csv", "path": "texts.csv.gz", "text_column": "message", "label_column": "liked"}
    return export(folder, data, {"metric": "val_pr_auc", "direction": "maximize"}, build)


def test_texts_give_what_the_study_recorded(sentiment: Exported) -> None:
    verified(sentiment, "raw validation rows of")
    assert sentiment.report.verification.examples == 24
    assert 0 < sentiment.report.verification.value < 1
    champion = sentiment.report.champion
    assert (champion.task, champion.class_names, champion.input.kind) == ("classification", ("no", "yes"), "text")
    assert [each.tensor for each in champion.outputs] == ["probabilities", "label"]


def test_texts_are_served_as_they_are(sentiment: Exported) -> None:
    import tensorflow as tf

    given = sentiment.served(text=tf.constant(["good über", "bad, плохо", ""]))
    assert given["probabilities"].shape == (3, 2)
    np.testing.assert_allclose(given["probabilities"].sum(axis=1), 1, atol=1e-6)
    names = np.array([b"no", b"yes"])
    assert list(given["label"]) == list(names[given["probabilities"].argmax(axis=1)])
    assert sentiment.served(text=tf.constant([], tf.string))["probabilities"].shape == (0, 2)


def test_texts_are_predicted_from_files_folders_and_columns(sentiment: Exported, tmp_path: Path) -> None:
    import tensorflow as tf

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("good fine", encoding="utf-8-sig")
    (tmp_path / "texts" / "b.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "rows.csv").write_text('other,message\n1,"good fine"\n2\n3,bad\n')
    (tmp_path / "wrong.csv").write_text("text\ngood\n")
    found = sentiment.predictions(
        tmp_path / "texts", tmp_path / "rows.csv", tmp_path / "wrong.csv", tmp_path / "none.txt"
    )
    places = [(item.file.name, item.row) for item in found]
    assert places == [
        ("a.txt", None), ("b.txt", None), ("rows.csv", 1), ("rows.csv", 2), ("rows.csv", 3), ("wrong.csv", None),
        ("none.txt", None),
    ]  # fmt: skip
    errors = [item.error or "" for item in found]
    assert [bool(error) for error in errors] == [False, True, False, True, False, True, True]
    assert "not UTF-8" in errors[1] and "has 1 values" in errors[3] and "no column 'message'" in errors[5]
    given = sentiment.served(text=tf.constant(["good fine", "bad"]))["probabilities"].max(axis=1)
    probabilities = [found[place].probability for place in (0, 2, 4)]
    assert probabilities == pytest.approx([given[0], given[0], given[1]], abs=1e-6)


def test_texts_are_predicted_from_lines(sentiment: Exported) -> None:
    import tensorflow as tf

    found = sentiment.lines("good fine", {"text": "bad"}, b"", {"message": "плохо"}, {"body": ""}, b"good")
    assert [(item.file, item.row) for item in found] == [(Path("-"), row) for row in (1, 2, 4, 5, 6)]
    given = sentiment.served(text=tf.constant(["good fine", "bad", "плохо"]))["probabilities"].max(axis=1)
    assert [item.probability for item in found[:3]] == pytest.approx(given.tolist(), abs=1e-6)
    assert 'no "message"' in (found[3].error or "") and "is not JSON" in (found[4].error or "")


_COLUMNS = {"Amount ($)": "number", "self": "category", "rooms": "integer", "Größe": "number"}


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Rows with names that TensorFlow does not take, missing values and weights; a number is predicted."""
    folder = tmp_path_factory.mktemp("prices")
    rng = np.random.default_rng(1)
    lines = ["price,Amount ($),self,rooms,weight,Größe"]
    for _ in range(100):
        amount, rooms, place = rng.normal(), int(rng.integers(1, 4)), ("Rome", "Oslo, north", "")[rng.integers(0, 3)]
        price = 100 * amount + 10 * rooms + rng.normal()
        shown = "NA" if rng.random() < 0.2 else f" {amount:.6f}"
        lines.append(
            f'{price:.4f},{shown},"{place}",{rooms if rng.random() > 0.1 else ""},{rng.random():.3f},{rng.random()}'
        )
    (folder / "houses.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = {
        "kind": "csv",
        "path": "houses.csv",
        "label_column": "price",
        "weight_column": "weight",
        "columns": _COLUMNS,
    }
    return export(folder, data, "val_loss", _price_model)


def _price_model() -> Any:
    import keras

    from search_spaces.base import StagedModel
    from search_spaces.statistics import INTEGER_MISSING

    dtypes = {"number": "float32", "category": "string", "integer": "int64"}
    raw = {name: keras.Input((1,), name=name, dtype=dtypes[kind]) for name, kind in _COLUMNS.items()}
    amount = keras.ops.where(keras.ops.isnan(raw["Amount ($)"]), 0.0, raw["Amount ($)"])
    place = keras.layers.StringLookup(vocabulary=["Rome", "Oslo, north"], output_mode="one_hot")(raw["self"])
    rooms = keras.layers.IntegerLookup(vocabulary=[INTEGER_MISSING, 1, 2, 3], output_mode="one_hot")(raw["rooms"])
    preprocessing = keras.Model(raw, keras.layers.Concatenate()([amount, place, rooms, raw["Größe"]]))
    inputs = keras.Input(preprocessing.output.shape[1:])
    network = keras.Model(inputs, keras.layers.Dense(1, kernel_regularizer="l2")(inputs))
    network.compile(
        keras.optimizers.Adam(1.0), "mse", metrics=["mae"], weighted_metrics=[keras.metrics.MeanSquaredError("mse")]
    )
    return StagedModel(network, preprocessing)


def _row(**values: Any) -> dict[str, Any]:
    import tensorflow as tf

    dtypes = {"Amount____": tf.float32, "self_": tf.string, "rooms": tf.int64, "Gr__e": tf.float32}
    return {name: tf.constant(value, dtypes[name]) for name, value in values.items()}


def test_rows_give_the_weighted_loss_that_the_study_recorded(prices: Exported) -> None:
    verified(prices, "raw validation rows of")
    champion = prices.report.champion
    assert (champion.task, champion.input.kind, champion.class_names) == ("regression", "table", ())
    tensors = {each.name: (each.tensor, each.dtype, each.missing) for each in champion.input.tensors}
    assert tensors == {
        "Amount ($)": ("Amount____", "float32", "NaN"),
        "self": ("self_", "string", ""),
        "rooms": ("rooms", "int64", -(2**63)),
        "Größe": ("Gr__e", "float32", "NaN"),
    }
    given = prices.served(**_row(Amount____=[1.0, np.nan], self_=["Rome", ""], rooms=[2, -(2**63)], Gr__e=[0.5, 0.5]))
    assert given["predictions"].shape == (2, 1)
    assert np.isfinite(given["predictions"]).all()
    assert prices.served(**_row(Amount____=[], self_=[], rooms=[], Gr__e=[]))["predictions"].shape == (0, 1)


def test_rows_are_predicted_and_bad_ones_reported_by_number(prices: Exported, tmp_path: Path) -> None:
    rows = [
        "rooms,Größe,self,extra,Amount ($)",
        "2,0.5,Rome,x,1",
        "two,0.5,Rome,x,1",
        "2,0.5,Rome",
        "2,0.5,Rome,x,1e99",
    ]
    (tmp_path / "rows.csv").write_text("\n".join([*rows, ",0.5,,x,NA"]) + "\n")
    (tmp_path / "short.csv").write_text("rooms,self,Größe\n1,a,2\n")
    found = prices.predictions(tmp_path / "rows.csv", tmp_path / "short.csv")
    assert [item.row for item in found] == [1, 2, 3, 4, 5, None]
    errors = [item.error for item in found]
    assert "column 'rooms' holds 'two', not an integer" in errors[1] and "has 3 values" in errors[2]
    assert "'1e99'" in errors[3] and "has no column 'Amount ($)'" in errors[5]
    given = prices.served(**_row(Amount____=[1.0, np.nan], self_=["Rome", ""], rooms=[2, -(2**63)], Gr__e=[0.5, 0.5]))
    assert [found[0].value, found[4].value] == pytest.approx(given["predictions"][:, 0].tolist(), abs=1e-4)


@pytest.mark.fast
def test_rows_are_predicted_from_lines_as_from_cells(prices: Exported, tmp_path: Path) -> None:
    names = list(_COLUMNS)
    rows = [[1.0, "Rome", 2, 0.5], [None, None, None, 0.25], [1.0, "Rome", "two", 0.5], [0.1, "Rome", 3.0, None]]
    cells = [",".join("" if value is None else str(value) for value in row) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join([",".join(names), *cells]) + "\n")
    from_cells = prices.predictions(tmp_path / "rows.csv")
    from_lines = prices.lines(*(dict(zip(names, row, strict=True)) for row in rows))
    assert [item.row for item in from_lines] == [1, 2, 3, 4]
    assert [item.value for item in from_lines] == [item.value for item in from_cells]
    assert [bool(item.error) for item in from_lines] == [False, False, True, False]


def test_a_large_csv_file_is_read_as_its_rows_are_predicted(prices: Exported, tmp_path: Path) -> None:
    good, bad, short = "2,0.5,Rome,1\n", "two,0.5,Rome,1\n", "2,0.5\n"
    count = 40_000
    with (tmp_path / "rows.csv").open("w") as file:
        file.write("rooms,Größe,self,Amount ($)\n")
        file.write((good * 9 + bad + short * 2) * (count // 12))
    with predict(prices.report.folder, [tmp_path / "rows.csv"]) as found:
        first = next(found)
        read = list(itertools.islice(found, 1, None))
    assert (first.row, first.error) == (1, None)
    assert [item.row for item in read] == list(range(3, count // 12 * 12 + 1))
    assert sum(bool(item.error) for item in read) == count // 12 * 3


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Texts of a Parquet file, of which each has any number of labels."""
    folder = tmp_path_factory.mktemp("topics")
    texts = [text for text, _ in _texts(80)]
    labels = ["|".join(name for name in ("good", "bad", "so") if name in text) or "other" for text in texts]
    table = pyarrow.table({"text": texts, "topics": labels})
    pyarrow.parquet.write_table(table, folder / "texts.parquet", row_group_size=7)

    def build() -> Any:
        import keras

        raw, vectorize = _vectorizer()
        model = keras.Model(raw, keras.layers.Dense(4, "sigmoid")(vectorize(raw)))
        auc = keras.metrics.AUC(multi_label=True, num_labels=4, name="auc")
        model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["binary_accuracy", auc])
        return model

    data = {
        "kind": "csv", "path": "texts.parquet", "text_column": "text", "label_column": "topics", "label_separator": "|",
    }  # fmt: skip
    return export(folder, data, "val_auc", build)


def test_labels_of_parquet_rows(topics: Exported) -> None:
    verified(topics, "raw validation rows of")
    champion = topics.report.champion
    assert (champion.task, champion.class_names) == ("multi_label", ("bad", "good", "other", "so"))
    assert [(each.tensor, each.shape) for each in champion.outputs] == [("probabilities", (4,))]
    assert topics.report.verification.accuracy is None
    found = topics.predictions(topics.folder / "texts.parquet")
    assert [item.row for item in found] == list(range(1, 81))
    assert all(item.labels is not None and all(value > 0.5 for value in item.labels.values()) for item in found)
    assert {"good", "bad"} <= {label for item in found for label in item.labels or ()}


_GAN = '''
import keras
import keras_tuner


@keras.saving.register_keras_serializable("kinds")
class Gan(keras.Model):
    """Only its generator can be called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.Sequential(
            [keras.Input((4,), name="noise"), keras.layers.Dense(192), keras.layers.Reshape((8, 8, 3))]
        )
        self.discriminator = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])

    def train_step(self, images):
        noise = keras.random.normal((keras.ops.shape(images)[0], 4))
        return {"g_loss": -keras.ops.mean(self.discriminator(self.generator(noise)))}


class Space(keras_tuner.HyperModel):
    def build(self, hp):
        raise AssertionError("an export builds no model")

    def export_model(self, model):
        return model.generator
'''


def test_the_generator_of_a_gan(tmp_path: Path, write_images: Callable[..., Path]) -> None:
    import tensorflow as tf

    write_images(tmp_path / "images", ("faces",), 6)
    names: dict[str, Any] = {}
    exec(_GAN, names)

    def build() -> Any:
        model = names["Gan"]()
        model.compile("adam")
        return model

    data = {"kind": "image_directory", "path": "images", "labels": "none", "image_size": [8, 8]}
    objective = {"metric": "g_loss", "direction": "minimize"}
    gan = export(tmp_path, data, objective, build, space=_GAN.replace("class Space", "class build"))
    champion, verification = gan.report.champion, gan.report.verification
    assert not verification.verified and "measured on training batches" in (verification.reason or "")
    assert (verification.source, verification.max_difference) == ("random inputs", pytest.approx(0, abs=1e-5))
    assert (champion.task, champion.input.kind, champion.targets) == ("none", "model", ())
    assert gan.served(noise=tf.zeros((5, 4)))["outputs"].shape == (5, 8, 8, 3)
    with pytest.raises(PredictError, match="takes noise"):
        predict(gan.report.folder, [tmp_path])


def test_numbers_of_an_npz_file(tmp_path: Path) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 2, 3))
    arrays = {"x": x, "y": x.sum(axis=(1, 2)) * 50 + rng.normal(size=60)}
    np.savez(tmp_path / "sums.npz", **arrays)

    def build() -> Any:
        import keras

        inputs = keras.Input((2, 3))
        model = keras.Model(
            inputs, keras.layers.Dense(1)(keras.layers.BatchNormalization()(keras.layers.Flatten()(inputs)))
        )
        model.compile(keras.optimizers.Adam(0.5), "mse", metrics=[keras.metrics.RootMeanSquaredError("rmse")])
        return model

    data = {"kind": "npz", "path": "sums.npz"}
    sums = export(tmp_path, data, {"metric": "val_rmse", "direction": "minimize"}, build)
    verified(sums, "raw validation rows of")
    tensors = [(each.tensor, each.dtype, each.shape) for each in sums.report.champion.input.tensors]
    assert tensors == [("x", "float32", (2, 3))]
    given = sums.served(x=tf.constant(x, tf.float32))["predictions"]
    found = sums.predictions(tmp_path / "sums.npz", tmp_path / "space.py")
    assert [item.row for item in found] == [*range(1, 61), None]
    assert [item.value for item in found[:60]] == pytest.approx(given[:, 0].tolist(), abs=1e-3)
    assert "is not a NumPy file" in (found[60].error or "")
    lines = sums.lines(x[0].tolist(), {"x": x[1].tolist()}, [1, 2])
    assert [item.value for item in lines] == pytest.approx([*given[:2, 0].tolist(), None], abs=1e-3)
    assert "x has the shape (2,), not (2, 3)" in (lines[2].error or "")


_SEVERAL = """
import numpy as np


def load():
    rng = np.random.default_rng(4)
    x = {"height": rng.normal(size=(50, 1)).astype("float32"), "face": rng.normal(size=(50, 4, 4)).astype("float32")}
    y = {"age": x["height"][:, 0] * 9, "kind": (x["face"].sum(axis=(1, 2)) > 0).astype("int64")}
    return x, y
"""


def test_several_inputs_and_outputs_of_a_python_source(tmp_path: Path) -> None:
    import tensorflow as tf

    (tmp_path / "people.py").write_text(_SEVERAL)

    def build() -> Any:
        import keras

        inputs = {"height": keras.Input((1,), name="height"), "face": keras.Input((4, 4), name="face")}
        joined = keras.layers.Concatenate()([inputs["height"], keras.layers.Flatten()(inputs["face"])])
        outputs = {
            "age": keras.layers.Dense(1, name="age")(joined),
            "kind": keras.layers.Dense(2, "softmax", name="kind")(joined),
        }
        model = keras.Model(inputs, outputs)
        losses = {"age": "mse", "kind": "sparse_categorical_crossentropy"}
        model.compile(keras.optimizers.Adam(0.1), losses, metrics={"age": ["mae"], "kind": ["accuracy"]})
        return model

    objective = {"metric": "val_age_mae", "direction": "minimize"}
    people = export(tmp_path, {"kind": "python", "source": "people.py:load"}, objective, build)
    verified(people, "people.py:load")
    champion = people.report.champion
    assert (champion.task, champion.input.kind) == ("several", "arrays")
    assert [(each.name, each.task, each.class_names) for each in champion.targets] == [
        ("age", "regression", ()),
        ("kind", "classification", ("0", "1")),
    ]
    given = people.served(height=tf.zeros((3, 1)), face=tf.zeros((3, 4, 4)))
    assert {name: value.shape for name, value in given.items()} == {"age": (3, 1), "kind": (3, 2)}
    height, face = [0.5], np.zeros((4, 4)).tolist()
    several = people.lines({"height": height, "face": face}, {"height": height}, height)
    assert several[0].value is not None and set(several[0].value) == {"age", "kind"}
    assert 'has no "face"' in (several[1].error or "") and 'an object with "' in (several[2].error or "")


def test_a_model_of_some_of_a_tables_columns(tmp_path: Path) -> None:
    """Whose names do not have the places of the others in the alphabet."""
    rng = np.random.default_rng(0)
    rows = [f"{40 + rng.normal():.3f},{(s := rng.normal()):.3f},{rng.normal():.3f},{s * 2:.3f}" for _ in range(80)]
    (tmp_path / "table.csv").write_text("\n".join(["age,signal,noise,y", *rows]))

    def build() -> Any:
        import keras

        signal, noise = keras.Input((1,), name="signal"), keras.Input((1,), name="noise")
        out = keras.layers.Dense(1)(keras.layers.Concatenate()([signal, keras.layers.Rescaling(0.0)(noise)]))
        model = keras.Model({"signal": signal, "noise": noise}, out)
        model.compile(keras.optimizers.Adam(0.1), "mse")
        return model

    data = {"kind": "csv", "path": tmp_path / "table.csv", "label_column": "y"}
    exported = export(tmp_path, data, "val_loss", build)
    verified(exported, "table.csv")
    assert exported.recorded["val_loss"] < 1
    value = exported.served(signal=np.float32([1.0]), noise=np.float32([5.0]))["predictions"]
    (line,) = exported.lines({"signal": 1.0, "noise": 5.0})
    assert line.value == pytest.approx(value[0].item())
    (cell, *_) = exported.predictions(tmp_path / "table.csv")
    first = np.float32([float(each) for each in rows[0].split(",")])
    value = exported.served(signal=first[1:2], noise=first[2:3])["predictions"]
    assert cell.value == pytest.approx(value[0].item())
