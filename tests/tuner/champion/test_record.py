from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tuner.champion.record import Champion, hash_files, read_champion, write_record
from tuner.errors import PredictError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export's folder with a record and two files, whose contents do not matter here."""
    folder = tmp_path / "champion"
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"a model")
    (folder / "saved_model" / "variables" / "variables.index").write_bytes(b"variables")
    write_record(_champion(hash_files(folder)), folder)
    return folder


def _champion(files: dict[str, str]) -> Champion:
    values: dict[str, Any] = {
        "study": "digits",
        "trial": 7,
        "objective": {"metric": "val_accuracy", "direction": "maximize"},
        "value": 0.75,
        "params": {"units": 8, "activation": "relu"},
        "metrics": {"val_accuracy": 0.75, "val_auc": math.nan, "val_ratio": math.inf},
        "task": "classification",
        "class_names": ["Käse", "dog\nhouse"],
        "targets": [{"name": "", "task": "classification", "class_names": ["Käse", "dog\nhouse"]}],
        "input": {"kind": "image", "image_size": [8, 8], "color_mode": "rgb", "signatures": {}},
        "outputs": [{"tensor": "probabilities", "dtype": "float32", "shape": [2]}],
        "data_fingerprint": "0" * 64,
        "versions": {"keras": "3"},
        "exported_at": "2026-01-01T00:00:00+00:00",
        "files": files,
        "verification": {
            "verified": True,
            "metric": "val_accuracy",
            "value": 0.75,
            "recorded": 0.75,
            "tolerance": 1e-6,
            "accuracy": 0.75,
            "examples": 4,
            "max_difference": None,
            "seconds": 1.0,
        },
    }
    return Champion.model_validate(values)


def test_a_record_is_read_as_it_was_written(folder: Path) -> None:
    champion = read_champion(folder)
    assert champion.class_names == ("Käse", "dog\nhouse")
    assert set(champion.files) == {"model.keras", "saved_model/variables/variables.index"}
    assert math.isnan(champion.metrics["val_auc"])
    assert champion.metrics["val_ratio"] == math.inf
    assert not list(folder.glob(".*"))


def test_the_record_is_json_for_strict_readers(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads((folder / "champion.json").read_text(), parse_constant=refuse)


def test_a_file_that_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    file.write_bytes(b"")
    with pytest.raises(PredictError, match=r"is not a folder.*tuner export"):
        read_champion(file)


def test_a_record_of_the_first_format_is_read(folder: Path) -> None:
    file = folder / "champion.json"
    record = json.loads(file.read_text()) | {"format": 1}
    for key in ("task", "targets", "outputs"):
        del record[key]
    del record["verification"]["source"]
    file.write_text(json.dumps(record))
    champion = read_champion(folder)
    assert (champion.task, champion.class_names) == ("classification", ("Käse", "dog\nhouse"))
    assert champion.targets[0].class_names == champion.class_names


def test_a_record_of_a_later_format(folder: Path) -> None:
    file = folder / "champion.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 3}))
    with pytest.raises(PredictError, match="written by a later version of keras-champion: update it here"):
        read_champion(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"study": "digits"}', '{"format": 2}'])
def test_a_damaged_record(folder: Path, content: str) -> None:
    (folder / "champion.json").write_text(content)
    with pytest.raises(PredictError, match=r"champion\.json is damaged: .*export again"):
        read_champion(folder)


def test_a_missing_file(folder: Path) -> None:
    (folder / "model.keras").unlink()
    with pytest.raises(PredictError, match=r"model\.keras is missing"):
        read_champion(folder)


def test_a_file_with_another_content(folder: Path) -> None:
    (folder / "model.keras").write_bytes(b"A model")
    with pytest.raises(PredictError, match=r"model\.keras is not the file that was exported"):
        read_champion(folder)
