"""What is believed of a record, which anybody may have written: the study's signature, and else its database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage import champions
from storage.connecting import connect
from storage.database import Database
from storage.studies import StudyRecord
from tests.tuner.http import seeding
from tuner.champion.records.champion_json import Champion, read_as_written, read_champion, write_record
from tuner.champion.registry.belief import as_registered
from tuner.champion.registry.mlflow_model import metrics, tags
from tuner.champion.registry.registered import add_export
from tuner.champion.registry.signature import is_signed, signed
from tuner.errors import RegistryError

KEY = b"k" * 32


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(f"sqlite:///{tmp_path}/tuner.db", create=True)


@pytest.fixture
def study(database: Database, tmp_path: Path) -> StudyRecord:
    record = seeding.new_study(database, "digits", 4, artifacts=str(tmp_path / "artifacts"))
    seeding.finish_trials(database, record, 3)
    return record


def edited(folder: Path, study: StudyRecord, trial: int) -> Path:
    """An export whose record says the best of itself."""
    record = json.loads((folder / "champion.json").read_text())
    forged = record["verification"] | {"verified": True, "value": 0.999, "recorded": 0.999, "accuracy": 0.999}
    said = {"trial": trial, "value": 0.999, "metrics": {"val_accuracy": 0.999}, "verification": forged}
    record |= said | {"data_fingerprint": study.fingerprint, "signature": "0" * 64}
    (folder / "champion.json").write_text(json.dumps(record))
    return folder


def test_nothing_of_an_unsigned_record_is_told_as_verified(
    database: Database, study: StudyRecord, bare_export: Path
) -> None:
    folder = edited(bare_export, study, 1)
    added = add_export(folder, storage=database)
    row = champions.find(database, study)
    assert added.value is not None and (added.verified, row.is_verified) == (False, False)
    assert (row.verification["recorded"], row.verification["metric"]) == (added.value, "val_accuracy")
    assert [row.verification[name] for name in ("value", "accuracy", "confusion", "max_difference")] == [None] * 4
    assert "0.999" not in json.dumps(row.verification)

    record, written = read_as_written(folder)
    told = as_registered(record, row, is_signed(written, champions.export_key(database, study.study_id)))
    assert metrics(told) == {"champion.value": added.value}
    assert tags(told, 1, "d")["champion.verified"] == "no"
    # Signed by the study, but of an objective that cannot be computed again.
    told = as_registered(record, row, signed=True)
    assert metrics(told) == {"val_accuracy": 0.999, "champion.value": added.value}


def test_a_trial_without_a_value_has_no_champion(database: Database, study: StudyRecord, bare_export: Path) -> None:
    seeding.begin_trials(database, study, 1, epochs=0)
    with pytest.raises(RegistryError, match="of trial 3, and study digits has no value of that trial"):
        add_export(edited(bare_export, study, 3), storage=database)


class LaterChampion(Champion):
    """The record of a later version."""

    carbon_grams: float = 12.0


def test_a_record_stays_signed_when_another_version_reads_it(bare_export: Path) -> None:
    known = read_champion(bare_export)
    write_record(signed(LaterChampion.model_validate(known.model_dump()), KEY), bare_export)
    champion, written = read_as_written(bare_export)
    assert "carbon_grams" in written and not hasattr(champion, "carbon_grams")
    assert is_signed(written, KEY)
    assert not is_signed(written, b"l" * 32) and not is_signed(written, None)
    # Whatever is edited, of what this version knows or not.
    for edit in ({"value": 0.999}, {"carbon_grams": 0.0}, {"more": 1}, {"signature": None}, {"signature": "0" * 64}):
        assert not is_signed({**written, **edit}, KEY)
