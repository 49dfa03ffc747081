"""Exporting and predicting on the command line."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def exported(finished):
    """The folder that the real command line exported the finished study's champion to."""
    place, _ = finished
    ran = place.run("export", "shapes", "--to", "champion")
    assert ran.code == 0, ran.err
    return place, ran


@pytest.mark.slow
def test_export_says_what_it_proved(exported):
    place, ran = exported
    assert ran.out == ""
    first, proof, wrote = ran.complaints
    champion = json.loads((place.folder / "champion" / "champion.json").read_text())
    assert first.startswith(f"trial {champion['trial']} of study shapes: val_accuracy ")
    assert proof.startswith("verified: the SavedModel gives ") and proof.endswith("on 15 raw validation files")
    assert wrote == f"wrote {place.folder / 'champion'}"
    assert {item.name for item in (place.folder / "champion").iterdir()} == {
        "model.keras",
        "saved_model",
        "champion.json",
    }


@pytest.mark.slow
def test_predict_gives_label_and_probability_and_names_what_it_cannot_read(exported, images):
    place, _ = exported
    shutil.copy(images / "bright" / "00.png", place.folder / "a photo\n.png")
    (place.folder / "corrupt.png").write_bytes(b"no image")
    inputs = ("a photo\n.png", "missing.png", "corrupt.png", str(images / "dark"))
    ran = place.run("predict", "champion", *inputs, "--format", "json")
    assert ran.code == 1
    found = ran.json
    in_folder = [str(images / "dark" / f"{index:02d}.png") for index in range(20)]
    assert [item["file"] for item in found] == [*inputs[:3], *in_folder]
    for item in (found[0], *found[3:]):
        assert item["label"] in ("bright", "dark", "striped")
        assert 1 / 3 <= item["probability"] <= 1 and item["error"] is None
    assert found[1]["label"] is None and "No such file" in found[1]["error"]
    assert found[2]["label"] is None and "image" in found[2]["error"]
    assert [line.split(": ")[1] for line in ran.complaints] == ["missing.png", "corrupt.png"]


def test_a_trial_without_a_kept_model_is_refused(finished, tuner):
    kept = {
        number: tuner("show", "shapes", number, "--format", "json", cwd=finished[0].folder).json["checkpoint"]
        for number in range(4)
    }
    lost = [number for number, checkpoint in kept.items() if checkpoint is None]
    assert len(lost) == 2
    ran = tuner("export", "shapes", "--to", "other", "--trial", lost[0], cwd=finished[0].folder)
    (line,) = ran.complaints
    assert ran.code == 1
    assert line.startswith(f"error: trial {lost[0]} (complete) has no kept model; keep_checkpoints is 2")


def test_a_folder_that_holds_something_else_is_left_alone(finished, tuner, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    ran = tuner("export", "shapes", "--to", tmp_path, cwd=finished[0].folder)
    (line,) = ran.complaints
    assert (ran.code, "is not empty and not an export" in line) == (1, True)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_predict_with_a_folder_that_is_no_export(tuner, tmp_path, images):
    ran = tuner("predict", tmp_path, images / "dark" / "01.png")
    (line,) = ran.complaints
    assert ran.code == 1
    assert line.startswith(f"error: {tmp_path}")
