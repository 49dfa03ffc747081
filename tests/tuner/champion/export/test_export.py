"""Exports of really trained models, run again from raw files in a clean process."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner.champion.export.export_model import export_model
from tuner.champion.records.champion_json import read_champion
from tuner.errors import ExportError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(report: Any) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(str(report.folder / "saved_model"))


@pytest.fixture(scope="module")
def raw_files(shades: Any) -> list[bytes]:
    split = shades.data.split("validation")
    return [Path(split.origin.root, file).read_bytes() for file in split.origin.files]


def test_the_export_gives_the_recorded_accuracy(report: Any, request_to_export: Any) -> None:
    verification = report.verification
    assert verification.verified
    assert verification.value == pytest.approx(request_to_export.value, abs=1e-6)
    assert verification.value == verification.accuracy
    assert 0.4 < verification.accuracy < 1
    assert verification.examples == 51
    assert verification.max_difference < 1e-5


def test_serving_default_reproduces_it_from_raw_bytes(
    served: Any, raw_files: list[bytes], shades: Any, report: Any
) -> None:
    import tensorflow as tf

    given = served.signatures["serving_default"](image_bytes=tf.constant(raw_files))
    assert set(given) == {"probabilities", "label"}
    probabilities = given["probabilities"].numpy()
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (51, 3)
    right = np.mean(probabilities.argmax(axis=1) == shades.data.split("validation").targets[0])
    assert right == pytest.approx(report.verification.recorded, abs=1e-6)
    labels = [label.decode() for label in given["label"].numpy()]
    assert labels == [report.champion.class_names[column] for column in probabilities.argmax(axis=1)]


def test_the_signatures_agree_on_pixels_of_any_size(served: Any, raw_files: list[bytes]) -> None:
    import tensorflow as tf

    for content in raw_files[:7]:
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
        by_pixels = served.signatures["pixels"](images=image[tf.newaxis])
        by_bytes = served.signatures["serving_default"](image_bytes=tf.constant([content]))
        np.testing.assert_allclose(by_pixels["probabilities"], by_bytes["probabilities"], atol=1e-6)


def test_probabilities_do_not_depend_on_the_batch(served: Any, raw_files: list[bytes]) -> None:
    import tensorflow as tf

    serve = served.signatures["serving_default"]
    together = serve(image_bytes=tf.constant(raw_files[:6]))["probabilities"]
    alone = [serve(image_bytes=tf.constant([one]))["probabilities"][0] for one in raw_files[:6]]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_an_empty_batch_and_bad_bytes(served: Any, raw_files: list[bytes]) -> None:
    import tensorflow as tf

    serve = served.signatures["serving_default"]
    assert serve(image_bytes=tf.constant([], tf.string))["probabilities"].shape == (0, 3)
    nothing = np.zeros((0, 30, 40, 3), np.uint8)
    assert served.signatures["pixels"](images=tf.constant(nothing))["probabilities"].shape == (0, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve(image_bytes=tf.constant([raw_files[0], b"no image"]))


def test_the_record_says_where_the_champion_came_from(report: Any, shades: Any) -> None:
    record = json.loads((report.folder / "champion.json").read_text())
    assert record["study"] == "shades"
    assert record["trial"] == 3
    assert record["objective"] == {"metric": "val_accuracy", "direction": "maximize"}
    assert record["params"] == {"batch_size": 8, "units": 4}
    assert record["class_names"] == ["dark", "light", "mid tone"]
    assert record["data_fingerprint"] == shades.data.fingerprint
    assert set(record["versions"]) == {"keras", "tensorflow", "keras-champion", "python"}
    assert record["input"]["image_size"] == [24, 24]
    assert {"model.keras", "saved_model/saved_model.pb"} <= set(record["files"])
    assert "champion.json" not in record["files"]
    assert read_champion(report.folder) == report.champion
    assert [path.name for path in report.folder.parent.iterdir()] == ["champion"]


def test_another_recorded_value_is_refused_and_the_earlier_export_stays(
    request_to_export: Any, copy_of: Callable[[], Path], tmp_path: Path
) -> None:
    earlier = copy_of()
    before = read_champion(earlier)
    recorded = request_to_export.value - 1 / 51
    wrong = request_to_export.model_copy(update={"value": recorded})
    with pytest.raises(ExportError) as refused:
        export_model(wrong, earlier, tmp_path / "export.log")
    assert repr(recorded) in str(refused.value)
    assert repr(round(request_to_export.value * 51) / 51) in str(refused.value)
    assert read_champion(earlier) == before
    assert {path.name for path in tmp_path.iterdir()} == {"champion", "export.log"}


def test_logits_of_one_unit_and_a_loss_as_objective(
    make_project: Callable[..., Any],
    copy_of: Callable[[], Path],
    tmp_path: Path,
) -> None:
    """A custom layer, a regulariser and AUC too: only the model itself can compute its loss."""
    import keras

    project = make_project(tmp_path / "two", ("dark", "light"), 21, objective="val_loss")
    doubling = _registered_layer(project.folder / "space.py")
    model = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Rescaling(1 / 255),
            doubling(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, activation="relu", kernel_regularizer="l2"),
            keras.layers.Dense(1),
        ]
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=[keras.metrics.AUC(from_logits=True)])
    metrics = project.train(model)
    earlier = copy_of()

    request = project.request(model, metrics["val_loss"], metrics=metrics)
    report = export_model(request, earlier, tmp_path / "export.log")

    assert report.verification.verified
    assert report.verification.value == pytest.approx(metrics["val_loss"], rel=1e-5)
    assert report.verification.max_difference < 1e-5
    assert read_champion(earlier).class_names == ("dark", "light")
    _check_two_columns(earlier, project, model)


def _registered_layer(space: Path) -> Any:
    import keras

    names: dict[str, Any] = {}
    exec(space.read_text(), names)
    assert keras.saving.get_registered_object("tests>Doubling") is names["Doubling"]
    return names["Doubling"]


def _check_two_columns(folder: Path, project: Any, model: Any) -> None:
    import tensorflow as tf

    split = project.data.split("validation")
    contents = [Path(split.origin.root, file).read_bytes() for file in split.origin.files]
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    given = loaded.signatures["serving_default"](image_bytes=tf.constant(contents))
    logits = model(split.inputs[0].values.astype("float32"), training=False)[:, 0]
    expected = 1 / (1 + np.exp(-np.asarray(logits)))
    np.testing.assert_allclose(given["probabilities"][:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(given["probabilities"][:, 0], 1 - expected, atol=1e-6)


def test_a_process_that_dies_leaves_nothing(request_to_export: Any, shades: Any, tmp_path: Path) -> None:
    deadly = tmp_path / "deadly.py"
    deadly.write_text("import os\nprint('last words', flush=True)\nos.kill(os.getpid(), 9)\n")
    space = shades.spec.space.model_copy(update={"name": f"{deadly}:build"})
    spec = shades.spec.model_copy(update={"space": space})
    request = request_to_export.model_copy(update={"spec": spec})
    with pytest.raises(ExportError, match=r"signal 9.*export\.log"):
        export_model(request, tmp_path / "new" / "champion", tmp_path / "export.log")
    assert "last words" in (tmp_path / "export.log").read_text()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.fixture
def small_files_only(request_to_export: Any, tmp_path: Path) -> Iterator[None]:
    """No process may write a file as large as the model: what a full disk does, for one test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = request_to_export.checkpoint.stat().st_size - 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files_only")
def test_files_that_cannot_be_written_leave_nothing(request_to_export: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="File too large"):
        export_model(request_to_export, tmp_path / "new" / "champion", tmp_path / "export.log")
    assert list((tmp_path / "new").iterdir()) == []


def test_data_that_has_changed_is_refused(request_to_export: Any, shades: Any, tmp_path: Path) -> None:
    moved = shutil.copytree(shades.folder / "images", tmp_path / "images")
    next(moved.glob("dark/*")).unlink()
    data = shades.spec.data.model_copy(update={"path": moved})
    spec = shades.spec.model_copy(update={"data": data})
    request = request_to_export.model_copy(update={"spec": spec, "cache": tmp_path / "cache"})
    with pytest.raises(ExportError, match="data has changed since study shades"):
        export_model(request, tmp_path / "champion", tmp_path / "export.log")


def test_a_trial_without_a_kept_model(request_to_export: Any, tmp_path: Path) -> None:
    request = request_to_export.model_copy(update={"checkpoint": tmp_path / "best.keras"})
    with pytest.raises(ExportError, match=r"trial 3.*best\.keras, does not exist"):
        export_model(request, tmp_path / "champion", tmp_path / "export.log")
