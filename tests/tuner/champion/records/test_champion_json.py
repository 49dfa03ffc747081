from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tuner.champion.records.champion_json import read_champion
from tuner.errors import PredictError


@pytest.fixture
def folder(bare_export: Path) -> Path:
    return bare_export


def test_a_record_is_read_as_it_was_written(folder: Path) -> None:
    champion = read_champion(folder)
    assert champion.class_names == ("Käse", "dog\nhouse")
    assert set(champion.files) == {
        "model.keras",
        "saved_model/saved_model.pb",
        "saved_model/variables/variables.index",
    }
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
    with pytest.raises(PredictError, match="written by a later version of keras-champion; upgrade keras-champion on"):
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
