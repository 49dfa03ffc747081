"""What TensorFlow Serving needs of a SavedModel, read from its file without running it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner.champion.export.export_model import export_model
from tuner.champion.records.request import ExportRequest
from tuner.data.cache import prepare
from tuner.spec.reading import validate_spec

pytestmark = pytest.mark.slow

_SPACE = """
def build(hp):
    raise AssertionError("an export builds no model")
"""


def signatures(folder: Path) -> dict[str, Any]:
    """The signatures of the only graph, which Serving chooses by its tag."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    parsed = SavedModel()
    parsed.ParseFromString((folder / "saved_model" / "saved_model.pb").read_bytes())
    (graph,) = parsed.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    return dict(graph.signature_def)


def tensors(described: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Names with their dtypes and shapes; -1 is a dimension of any size."""
    from tensorflow import as_dtype

    return {
        name: (as_dtype(info.dtype).name, tuple(size.size for size in info.tensor_shape.dim))
        for name, info in described.items()
        if not info.tensor_shape.unknown_rank
    }


def check(folder: Path, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """``serving_default`` takes and gives exactly these, a batch of any size of each."""
    signature = signatures(folder)["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert tensors(signature.inputs) == inputs
    assert tensors(signature.outputs) == outputs
    for each in (*signature.inputs.values(), *signature.outputs.values()):
        assert each.tensor_shape.dim[0].size == -1, each.name


def test_image_files(report: Any) -> None:
    outputs = {"probabilities": ("float32", (-1, 3)), "label": ("string", (-1,))}
    check(report.folder, {"image_bytes": ("string", (-1,))}, outputs)
    pixels = signatures(report.folder)["pixels"]
    assert pixels.method_name == "tensorflow/serving/predict"
    assert tensors(pixels.inputs) == {"images": ("uint8", (-1, -1, -1, 3))}
    assert tensors(pixels.outputs) == outputs


def _exported(folder: Path, data: dict[str, Any], objective: str, build: Callable[[], Any]) -> Path:
    """A model trained for an epoch and exported."""
    import keras

    from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches

    (folder / "space.py").write_text(_SPACE)
    raw = {"study": "serving", "data": data, "space": f"{folder / 'space.py'}:build", "objective": objective}
    spec = validate_spec(raw, source="test", base=folder)
    prepared = prepare(spec.data, folder / "cache")
    keras.utils.set_random_seed(3)
    model = build()
    form = BatchFormat("integer")
    history = model.fit(
        TrainingBatches(prepared, 8, 1, form).dataset, validation_data=evaluation_batches(prepared, 8, form), verbose=0
    )
    recorded = {name: float(values[-1]) for name, values in history.history.items()}
    model.save(folder / "best.keras")
    request = ExportRequest(
        spec=spec,
        study="serving",
        trial=0,
        checkpoint=folder / "best.keras",
        value=recorded[objective],
        metrics=recorded,
        params={},
        class_names=prepared.class_names,
        data_fingerprint=prepared.fingerprint,
        cache=folder / "cache",
    )
    return export_model(request, folder / "champion", folder / "export.log").folder


def test_texts(tmp_path: Path) -> None:
    rows = ["text,kind", *(f"{word},{kind}" for word, kind in (("good", "yes"), ("bad", "no"), ("odd", "maybe")) * 10)]
    (tmp_path / "texts.csv").write_text("\n".join(rows) + "\n")

    def build() -> Any:
        import keras

        raw = keras.Input((), dtype="string")
        layer = keras.layers.TextVectorization(output_mode="multi_hot", vocabulary=["good", "bad", "odd"])
        model = keras.Model(raw, keras.layers.Dense(3, "softmax")(layer(raw)))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    data = {"kind": "csv", "path": "texts.csv", "text_column": "text", "label_column": "kind"}
    folder = _exported(tmp_path, data, "val_accuracy", build)
    outputs = {"probabilities": ("float32", (-1, 3)), "label": ("string", (-1,))}
    check(folder, {"text": ("string", (-1,))}, outputs)


def test_rows_of_a_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"Size (m²)": "number", "place": "category", "rooms": "integer"}
    rows = [f"{rng.normal():.3f},{('Rome', 'Oslo')[i % 2]},{i % 3},{('low', 'high')[i % 2]}" for i in range(40)]
    (tmp_path / "houses.csv").write_text("\n".join([f"{','.join(columns)},price", *rows]) + "\n", encoding="utf-8")

    def build() -> Any:
        import keras

        raw = {
            "Size (m²)": keras.Input((1,), name="Size (m²)"),
            "place": keras.Input((1,), name="place", dtype="string"),
            "rooms": keras.Input((1,), name="rooms", dtype="int64"),
        }
        place = keras.layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")(raw["place"])
        rooms = keras.layers.IntegerLookup(vocabulary=[0, 1, 2], output_mode="one_hot")(raw["rooms"])
        joined = keras.layers.Concatenate()([raw["Size (m²)"], place, rooms])
        model = keras.Model(raw, keras.layers.Dense(1, "sigmoid")(joined))
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
        return model

    data = {"kind": "csv", "path": "houses.csv", "label_column": "price", "columns": columns}
    folder = _exported(tmp_path, data, "val_accuracy", build)
    inputs = {"Size__m__": ("float32", (-1,)), "place": ("string", (-1,)), "rooms": ("int64", (-1,))}
    check(folder, inputs, {"probabilities": ("float32", (-1, 2)), "label": ("string", (-1,))})
