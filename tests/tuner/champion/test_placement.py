from __future__ import annotations

from pathlib import Path

import pytest

from tuner.champion.placement import check_destination, put_in_place, staging
from tuner.errors import ExportError


def _built(folder: Path, content: str) -> Path:
    built = folder / "export"
    (built / "saved_model").mkdir(parents=True)
    (built / "champion.json").write_text("{}")
    (built / "saved_model" / "saved_model.pb").write_text(content)
    return built


def _place(to: Path, content: str) -> None:
    check_destination(to)
    with staging(to) as temporary:
        put_in_place(_built(temporary, content), to)


def test_a_new_place_with_missing_parents(tmp_path: Path) -> None:
    to = tmp_path / "exports" / "digits"
    _place(to, "new")
    assert (to / "saved_model" / "saved_model.pb").read_text() == "new"
    assert [path.name for path in to.parent.iterdir()] == ["digits"]


def test_an_earlier_export_is_replaced_whole(tmp_path: Path) -> None:
    to = tmp_path / "digits"
    _place(to, "old")
    (to / "left-over").write_text("")
    _place(to, "new")
    assert (to / "saved_model" / "saved_model.pb").read_text() == "new"
    assert not (to / "left-over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    to = tmp_path / "digits"
    to.mkdir()
    _place(to, "new")
    assert (to / "champion.json").exists()


def test_a_failure_leaves_the_earlier_export_and_nothing_else(tmp_path: Path) -> None:
    to = tmp_path / "digits"
    _place(to, "old")
    with pytest.raises(RuntimeError), staging(to) as temporary:
        _built(temporary, "half")
        raise RuntimeError
    assert (to / "saved_model" / "saved_model.pb").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_rename_that_fails_brings_the_earlier_export_back(tmp_path: Path) -> None:
    to = tmp_path / "digits"
    _place(to, "old")
    with pytest.raises(ExportError, match="cannot export to"), staging(to) as temporary:
        put_in_place(temporary / "never-built", to)
    assert (to / "saved_model" / "saved_model.pb").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ExportError, match="not empty and not an export"):
        check_destination(tmp_path)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("")
    with pytest.raises(ExportError, match="is a file"):
        check_destination(tmp_path / "digits")


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot export to"):
        _place(tmp_path / "file" / "digits", "new")
