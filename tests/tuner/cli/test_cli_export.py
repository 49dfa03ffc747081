"""Exporting and predicting on the command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.tuner.cli.conftest import Place, launched
from tests.waiting import within

TUNER = Path(sys.executable).with_name("tuner")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache, raw_spec):
    """A study of this module's own: others rely on theirs having no champion."""
    return launched(tmp_path_factory.mktemp("exporting"), cache, raw_spec)


@pytest.fixture(scope="module")
def exported(finished):
    """The folder that the real command line exported the finished study's champion to."""
    place, _ = finished
    ran = place.run("export", "shapes", "--to", "champion", "--single")
    assert ran.code == 0, ran.err
    return place, ran


def tables(ran):
    """The cells of what was compared, and of the exported formats, each with its header."""
    lines = [line.split() for line in ran.out.splitlines()]
    formats = next(index for index, line in enumerate(lines) if line[0] == "format")
    return lines[:formats], lines[formats:]


@pytest.mark.fast
@pytest.mark.slow
def test_export_says_what_it_proved(exported):
    place, ran = exported
    *chosen, proof, wrote = ran.complaints
    champion = json.loads((place.folder / "champion" / "champion.json").read_text())
    assert chosen[0].startswith(f"trial {champion['trial']} of study shapes: val_accuracy ")
    # Both trials with a kept model were scored again, on the test split too.
    (header, *rows), (_, *formats) = tables(ran)
    assert {row[0] for row in formats} == {"keras", "saved_model"}
    assert header == ["trial", "validation", "test", "parameters"] and len(rows) == 2
    assert {row[0] for row in rows} == {str(each["trial"]) for each in champion["assessment"]["candidates"]}
    assert any(line.startswith("test: ") for line in chosen)
    # The record says where it came from; the card what it is, without looking anywhere else.
    assert champion["spec"]["study"] == "shapes" and champion["splits"]["validation"] == 15
    counts = champion["verification"]["confusion"]["counts"]
    assert sum(map(sum, counts)) == 15
    assert sum(row[i] for i, row in enumerate(counts)) / 15 == pytest.approx(champion["verification"]["accuracy"])
    card = (place.folder / "champion" / "card.md").read_text()
    assert card.startswith(f"# shapes: trial {champion['trial']}\n")
    for title in (
        "Data",
        "Scores",
        "Class by class",
        "Learning curves",
        "Hyperparameters",
        "How to load it",
        "Limits",
        "Made with",
    ):
        assert f"\n## {title}\n" in card
    assert f"| trial {champion['trial']} (chosen) |" in card
    data = json.loads((place.folder / "champion" / "card.json").read_text())
    assert data["curves"][0]["trial"] == champion["trial"] and data["curves"][0]["metrics"]["val_accuracy"]
    assert data["importances"] is None and "too few complete trials" in card
    assert proof.startswith("verified: the SavedModel gives ") and proof.endswith("on 15 raw validation files")
    assert wrote == f"wrote {place.folder / 'champion'}, registered as shapes@1"
    assert {item.name for item in (place.folder / "champion").iterdir()} == {
        "card.json",
        "card.md",
        "confusion.svg",
        "curves.svg",
        "model.keras",
        "saved_model",
        "champion.json",
    }


@pytest.mark.fast
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
    *complaints, summary = ran.complaints
    assert [line.split(": ")[1] for line in complaints] == ["missing.png", "corrupt.png"]
    assert summary.startswith("predicted 21 of 23 examples in ")


@pytest.mark.slow
def test_predictions_go_to_a_file_as_they_are_printed(exported, images):
    place, _ = exported
    printed = place.run("predict", "champion", str(images / "dark"), "--format", "csv")
    ran = place.run("predict", "champion", str(images / "dark"), "--output", "dark.csv")
    assert (ran.code, ran.out) == (0, "")
    text = (place.folder / "dark.csv").read_text()
    assert text == printed.out
    assert text.splitlines()[0] == "file,row,label,probability,error" and len(text.splitlines()) == 21
    ran = place.run("predict", "champion", str(images / "dark"), "--output", "none/dark.csv")
    assert ran.code == 1 and ran.complaints == ["error: none/dark.csv cannot be written: No such file or directory"]


@pytest.mark.slow
def test_whoever_writes_a_line_is_answered_before_the_next_one(exported, images):
    place, _ = exported
    asked = place.start("predict", "champion", "-", stdin=subprocess.PIPE)
    good = {"file": str(images / "bright" / "00.png")}
    for number, line in enumerate([good, "no image", good], start=1):
        asked.stdin.write(json.dumps(line) + "\n")
        asked.stdin.flush()
        answer = json.loads(asked.stdout.readline())
        assert (answer["row"], answer["label"] is None, bool(answer["error"])) == (number, number == 2, number == 2)
    _, err = asked.communicate(timeout=60)
    assert asked.returncode == 1
    assert err.splitlines()[0].startswith("error: - row 2: holds")
    assert err.splitlines()[1].startswith("predicted 2 of 3 examples in ")


@pytest.mark.slow
def test_an_interrupted_prediction_leaves_nothing(exported, images):
    place, _ = exported
    asked = place.start("predict", "champion", "-", "--output", "cut.jsonl", stdin=subprocess.PIPE)
    waiting = psutil.Process(asked.pid)
    # Its answer is not seen, but the file under its other name is.
    asked.stdin.write(json.dumps({"file": str(images / "bright" / "00.png")}) + "\n")
    asked.stdin.flush()
    within(60, lambda: any(file.stat().st_size for file in place.folder.glob(".cut.jsonl.*")))
    family = waiting.children(recursive=True)
    asked.terminate()
    _, err = asked.communicate(timeout=60)
    assert (asked.returncode, err) == (130, "interrupted\n")
    psutil.wait_procs(family, timeout=30)
    assert family and not any(process.is_running() for process in family)
    assert not list(place.folder.glob("*cut.jsonl*"))


@pytest.mark.slow
def test_an_interrupted_export_leaves_nothing(finished):
    place, _ = finished
    exporting = place.start("export", "shapes", "--to", "cut/champion")
    within(60, lambda: list(place.folder.glob("cut/.champion.*")))
    exporting.terminate()
    _, err = exporting.communicate(timeout=60)
    assert (exporting.returncode, err) == (130, "interrupted\n")
    assert list((place.folder / "cut").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code", "said"), [("| head -n 1", 0, ""), ("> /dev/full", 1, "standard output")])
def test_output_that_nobody_takes(exported, images, end, code, said):
    place, _ = exported
    command = f"tuner predict champion {shlex.quote(str(images))} --format csv {end}"
    environment = place.environment | {"PATH": f"{TUNER.parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=place.folder, env=environment, capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert (ran.returncode, "Traceback" in ran.stderr, "Exception ignored" in ran.stderr) == (code, False, False)
    assert ran.stdout == ("file,row,label,probability,error\n" if "head" in end else "")
    if said:
        assert ran.stderr == "error: standard output cannot be written: No space left on device\n"


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
    assert line.startswith(f"error: trial {lost[0]} (complete) has no kept model; keep_checkpoints says how many")


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


@pytest.mark.fast
@pytest.mark.slow
def test_the_champion_is_trained_again_and_its_spread_told(finished):
    place, _ = finished
    ran = place.run("export", "shapes", "--to", "again", "--refit", "--seeds", "2", "--top", "1")
    assert ran.code == 0, ran.err
    champion = json.loads((place.folder / "again" / "champion.json").read_text())
    retraining = champion["retraining"]
    assert retraining["trained_on"] == ["train", "validation"] and retraining["exported"]
    first, second = retraining["runs"]
    assert first["seed"] != second["seed"]
    assert first["validation"] is None and 0 <= first["test"]["low"] <= first["test"]["value"]
    assert champion["value"] == first["test"]["value"]
    verification = champion["verification"]
    assert verification["verified"] and verification["source"] == "raw test files"
    assert f"retrained: test accuracy {champion['value']:.4g}" in ran.err
    assert "trained again 2 times, on train and validation" in ran.err
    assert "test accuracy: mean " in ran.err


@pytest.mark.slow
def test_an_average_is_one_model_with_its_cost_beside_the_single_one(tmp_path, cache, raw_spec, images):
    place = Place(tmp_path, cache)
    # The accuracy of so few examples is often that of one model.
    raw = raw_spec(objective="val_loss", trials=3, sampler="random", training={"epochs": 1, "batch_size": 32})
    assert place.run("launch", place.write_spec(raw)).code == 0
    ran = place.run("export", "shapes", "--to", "average")
    assert ran.code == 0, ran.err
    champion = json.loads((place.folder / "average" / "champion.json").read_text())
    ensemble = champion["ensemble"]
    assert len(ensemble["members"]) >= 2
    data = json.loads((place.folder / "average" / "card.json").read_text())
    assert [curve["trial"] for curve in data["curves"]] == [each["trial"] for each in ensemble["members"]]
    assert champion["verification"]["verified"]
    assert champion["value"] == ensemble["whole"]["validation"]["value"]
    (_, *costs), _ = tables(ran)
    assert [row[0] for row in costs] == ["average", "trial"]
    predicted = place.run("predict", "average", str(images / "dark"), "--format", "json")
    assert (predicted.code, len(predicted.json)) == (0, 20)
    assert all(1 / 3 <= each["probability"] <= 1 for each in predicted.json)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--smallest", "--trial", "0"), "trial and smallest both say which trial is exported"),
        (("--prefer", "val_loss", "--trial", "0"), "trial and prefer both say which trial is exported"),
    ],
)
def test_what_does_not_go_together_is_refused(finished, tuner, arguments, said):
    ran = tuner("export", "shapes", "--to", "refused", *arguments, cwd=finished[0].folder)
    assert ran.code == 1 and said in ran.complaints[0]
    assert not (finished[0].folder / "refused").exists()


@pytest.mark.fast
@pytest.mark.slow
def test_a_champion_is_registered_promoted_and_fetched_whole_or_not_at_all(exported, tuner):
    place, _ = exported
    newest = tuner("champions", "--study", "shapes", "--format", "json", cwd=place.folder).json[0]
    version = newest["version"]
    assert newest["verified"] and newest["aliases"] == [] and newest["size"] > 0
    assert "has no champion 99" in tuner("promote", "shapes", 99, "--as", "production", cwd=place.folder).err
    ran = tuner("promote", "shapes", version, "--as", "production", cwd=place.folder)
    assert ran.complaints == [f"production now points to shapes@{version}"]
    assert "already" in tuner("promote", "shapes", version, "--as", "production", cwd=place.folder).err
    (change,) = tuner("champions", "history", "production", "--format", "json", cwd=place.folder).json
    assert (change["from"], change["to"]) == (None, f"shapes@{version}") and "@" in change["who"]
    listed = tuner("champions", cwd=place.folder).out.splitlines()
    assert any("production" in line for line in listed[1:])

    ran = tuner("champions", "get", "production", "--to", "fetched", cwd=place.folder)
    assert ran.code == 0, ran.err
    record = json.loads((place.folder / "fetched" / "champion.json").read_text())
    assert record["study"] == "shapes" and record["trial"] == newest["trial"]
    assert (place.folder / "fetched" / "saved_model" / "saved_model.pb").exists()
    assert (
        "no champion has the alias 'staging'" in tuner("champions", "get", "staging", "--to", "x", cwd=place.folder).err
    )

    ran = tuner("champions", "get", f"shapes@{version}", "--to", "by-version", cwd=place.folder)
    assert ran.code == 0 and ran.complaints[0].startswith(f"wrote shapes@{version} (trial {newest['trial']}, digest ")
    assert json.loads((place.folder / "by-version" / "champion.json").read_text()) == record

    damaged = place.folder / "tuner-artifacts" / "shapes" / "champions" / "blobs" / record["files"]["model.keras"]
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + b"?")
    ran = tuner("champions", "get", "production", "--to", "damaged", cwd=place.folder)
    assert ran.code == 1 and "its model.keras is not the file that was registered" in ran.complaints[0]
    assert not (place.folder / "damaged").exists()
    damaged.unlink()
    assert (
        "its model.keras is missing" in tuner("champions", "get", "production", "--to", "damaged", cwd=place.folder).err
    )
    damaged.write_bytes(content)


@pytest.mark.slow
def test_an_export_that_could_not_be_registered_stays_and_is_registered_later(finished, tuner):
    place, _ = finished
    # A file is where the folder of the kept exports would be; root would write past permissions.
    champions = place.folder / "tuner-artifacts" / "shapes" / "champions"
    aside = place.folder / "aside"
    if champions.exists():
        champions.rename(aside)
    champions.write_text("in the way")
    before = len(tuner("champions", "--format", "json", cwd=place.folder).json)
    ran = place.run("export", "shapes", "--to", "kept one", "--top", "1")
    champions.unlink()
    if aside.exists():
        aside.rename(champions)
    folder = place.folder / "kept one"
    (line,) = ran.complaints
    assert ran.code == 1 and line.startswith(f"error: {folder} is exported, but not registered: ")
    assert line.endswith(f". Register it later: `tuner champions add '{folder}'`")
    assert len(tuner("champions", "--format", "json", cwd=place.folder).json) == before

    for _ in range(2):
        ran = tuner("champions", "add", folder, cwd=place.folder)
        assert (ran.code, ran.complaints) == (0, [f"{folder} is registered as shapes@{before + 1}"])
    newest, *others = tuner("champions", "--format", "json", cwd=place.folder).json
    assert (newest["verified"], newest["version"], len(others)) == (True, before + 1, before)
    assert tuner("champions", "get", f"shapes@{before + 1}", "--to", "again", cwd=place.folder).code == 0

    record = json.loads((folder / "champion.json").read_text())
    # What anybody can write is no proof.
    (folder / "champion.json").write_text(json.dumps(record | {"value": 0.999, "exported_at": "2026-01-01"}))
    assert tuner("champions", "add", folder, cwd=place.folder).code == 0
    edited = tuner("champions", "--format", "json", cwd=place.folder).json[0]
    assert (edited["version"], edited["verified"], edited["value"]) == (before + 2, False, newest["value"])
    refused = tuner("promote", "shapes", before + 2, "--as", "best", cwd=place.folder)
    assert refused.code == 1 and "its record is not signed by an export of this study" in refused.err

    (folder / "champion.json").write_text(json.dumps(record | {"data_fingerprint": "0" * 64}))
    ran = tuner("champions", "add", folder, cwd=place.folder)
    assert ran.complaints == [f"error: {folder} belongs to another study shapes: its data is not this study's"]
    (folder / "model.keras").unlink()
    assert "model.keras is missing" in tuner("champions", "add", folder, cwd=place.folder).err
