"""Predictions of the exported model for files as users have them."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuner.champion.prediction.batching import BATCH
from tuner.champion.prediction.predict import Prediction, predict
from tuner.errors import PredictError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(shades: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More files than a batch, with a bad one in it and names that need care."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copytree(shades.folder / "images", folder, dirs_exist_ok=True)
    good = (folder / "dark" / "000 img.png").read_bytes()
    (folder / "dark" / "new\nline.png").write_bytes(good)
    (folder / "dark" / "undecodable-\udcff.png").write_bytes(good)
    (folder / "dark" / "broken.png").write_bytes(good[:200])
    (folder / "dark" / "empty.jpg").write_bytes(b"")
    (folder / "dark" / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def predictions(report: Any, photos: Path) -> list[Prediction]:
    inputs = [photos / "mid tone" / "002 img.png", photos / "missing.png", photos]
    return list(predict(report.folder, inputs))


def test_every_file_has_one_prediction_in_order(predictions: list[Prediction], photos: Path) -> None:
    files = [prediction.file for prediction in predictions]
    assert files[:2] == [photos / "mid tone" / "002 img.png", photos / "missing.png"]
    assert len(files) - 2 == 3 * 42 + 4 > BATCH
    assert files[2].parent.name == "dark"
    assert files[-1] == photos / "mid tone" / "041 img.bmp"
    assert not any(file.suffix == ".txt" for file in files)


def test_bad_files_have_errors_and_do_not_stop_the_others(predictions: list[Prediction]) -> None:
    errors = {prediction.file.name: prediction.error for prediction in predictions}
    failed = {name: error for name, error in errors.items() if error}
    assert set(failed) == {"missing.png", "broken.png", "empty.jpg"}
    assert "No such file" in failed["missing.png"]
    assert "is not an image" in failed["broken.png"]
    assert "0 bytes" in failed["empty.jpg"]
    for prediction in predictions:
        assert (prediction.label is None) == (prediction.probability is None)
        assert (prediction.label is None) == (prediction.error is not None)


def test_labels_and_probabilities_are_those_of_the_model(
    predictions: list[Prediction], report: Any, shades: Any
) -> None:
    import tensorflow as tf

    split = shades.data.split("validation")
    loaded = tf.saved_model.load(str(report.folder / "saved_model"))
    by_name = {(p.file.parent.name, p.file.name): p for p in predictions}
    for file in split.origin.files[::5]:
        content = Path(split.origin.root, file).read_bytes()
        given = loaded.signatures["serving_default"](image_bytes=tf.constant([content]))
        row = given["probabilities"].numpy()[0]
        prediction = by_name[Path(file).parent.name, Path(file).name]
        assert prediction.label == report.champion.class_names[row.argmax()]
        assert prediction.probability == pytest.approx(row.max(), abs=1e-6)


def test_the_same_content_under_any_name_gives_the_same(predictions: list[Prediction]) -> None:
    by_name = {p.file.name: p for p in predictions if p.file.parent.name == "dark"}
    plain = by_name["000 img.png"]
    for name in ("new\nline.png", "undecodable-\udcff.png"):
        assert by_name[name].label == plain.label
        assert by_name[name].probability == pytest.approx(plain.probability, abs=1e-6)


def test_progress_is_told_and_nothing_is_started_for_missing_files(report: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    missing = [tmp_path / "a.png", tmp_path / "b.png"]
    found = list(predict(report.folder, missing, lambda done, total: seen.append((done, total))))
    assert all("No such file" in (prediction.error or "") for prediction in found)
    assert seen == [(1, 2), (2, 2)]


def test_images_on_lines_between_files(
    report: Any, predictions: list[Prediction], photos: Path, tmp_path: Path
) -> None:
    good = photos / "mid tone" / "002 img.png"
    lines: list[Any] = [
        {"file": str(good)},
        {"base64": base64.b64encode(good.read_bytes()).decode()},
        {"base64": "AAAA"},
    ]
    (tmp_path / "lines").write_text("\n".join(map(json.dumps, lines)))
    with (tmp_path / "lines").open("rb") as stdin:
        found = list(predict(report.folder, [good, "-", good], stdin=stdin))
    assert [(item.file, item.row) for item in found] == [
        (good, None), (good, 1), (Path("-"), 2), (Path("-"), 3), (good, None),
    ]  # fmt: skip
    assert [item.label for item in found] == [predictions[0].label] * 3 + [None, predictions[0].label]
    assert "is not an image" in (found[3].error or "")


def test_standard_input_can_be_read_once(report: Any, tmp_path: Path) -> None:
    with pytest.raises(PredictError, match="is given twice"):
        predict(report.folder, ["-", "-"])
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read) as stdin:
        os.close(stdin.fileno())
        with pytest.raises(PredictError, match="is closed"):
            predict(report.folder, ["-"], stdin=stdin)
        os.dup2(os.open(os.devnull, os.O_RDONLY), read)


def test_a_folder_that_is_no_export_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(PredictError, match=r"has no champion\.json"):
        predict(tmp_path, [])


def test_a_changed_file_is_refused_at_once(copy_of: Callable[[], Path]) -> None:
    folder = copy_of()
    with (folder / "saved_model" / "saved_model.pb").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PredictError, match=r"saved_model\.pb is not the file that was exported"):
        predict(folder, [])
