from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from tuner.champion.placement import check_destination, put_in_place, staging
from tuner.champion.records.champion_json import content_of, hash_files
from tuner.errors import ExportError


def _built(folder: Path, content: str) -> Path:
    built = folder / "export"
    (built / "saved_model" / "assets").mkdir(parents=True)
    (built / "model.keras").write_text("a model")
    (built / "saved_model" / "saved_model.pb").write_text(content)
    record = {"format": 2, "study": "digits", "trial": 3, "files": hash_files(built)}
    checksum = hashlib.sha256(content_of(record)).hexdigest()
    (built / "champion.json").write_text(json.dumps(record | {"checksum": checksum}, indent=2))
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
    (to / "saved_model" / "saved_model.pb").with_name("empty").mkdir()
    _place(to, "new")
    assert (to / "saved_model" / "saved_model.pb").read_text() == "new"
    assert not (to / "saved_model" / "empty").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def _added(to: Path) -> str:
    (to / ".git").mkdir()
    (to / ".git" / "HEAD").write_text("ref: refs/heads/main")
    return r"\.git/HEAD"


def _edited(to: Path) -> str:
    (to / "model.keras").write_text("trained on by its owner")
    return "model.keras"


def _linked(to: Path) -> str:
    (to / "saved_model" / "assets" / "data").symlink_to(to.parent)
    return "assets/data"


def _exchanged(to: Path) -> str:
    (to / "model.keras").unlink()
    (to / "model.keras").symlink_to(to / "saved_model" / "saved_model.pb")
    return "model.keras"


def _replaced_by_a_folder(to: Path) -> str:
    (to / "model.keras").unlink()
    (to / "model.keras").mkdir()
    (to / "model.keras" / "thesis.tex").write_text("precious")
    return "thesis.tex"


def _annotated(to: Path) -> str:
    record = json.loads((to / "champion.json").read_text())
    (to / "champion.json").write_text(json.dumps(record | {"notes": "the one for the customer"}))
    return "champion.json"


@pytest.mark.parametrize("changed", [_added, _edited, _linked, _exchanged, _replaced_by_a_folder, _annotated])
def test_what_an_export_does_not_list_is_never_lost(tmp_path: Path, changed) -> None:
    to = tmp_path / "digits"
    _place(to, "old")
    named = changed(to)
    before = _everything(tmp_path)
    with pytest.raises(ExportError, match=rf"{named}.*nothing was replaced"):
        check_destination(to)
    with pytest.raises(ExportError, match=named), staging(to) as temporary:
        put_in_place(_built(temporary, "new"), to)
    assert _everything(tmp_path) == before


def test_what_appears_during_an_export_is_not_lost(tmp_path: Path) -> None:
    to = tmp_path / "digits"
    _place(to, "old")
    with pytest.raises(ExportError, match=r"thesis\.tex"), staging(to) as temporary:
        built = _built(temporary, "new")
        (to / "thesis.tex").write_text("precious")
        put_in_place(built, to)
    assert (to / "thesis.tex").read_text() == "precious"
    assert (to / "saved_model" / "saved_model.pb").read_text() == "old"


def test_a_file_that_is_only_called_like_a_record_makes_no_export(tmp_path: Path) -> None:
    for content in ("{}", "[]", "not JSON", '{"files": {}}', '{"study": "s", "trial": 1, "format": 2, "files": {}}'):
        (tmp_path / "champion.json").write_text(content)
        with pytest.raises(ExportError, match="not an export"):
            check_destination(tmp_path)


def _die_while_putting_in_place(to: Path, where: str) -> None:
    with staging(to) as temporary:
        built = _built(temporary, "new")
        replace = os.replace

        def dying(source: Path, target: Path) -> None:
            if Path(source) == built and where == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
            if Path(source) == built and where == "after":
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = dying  # type: ignore[assignment]
        put_in_place(built, to)


def _broken_off(to: Path, where: str) -> None:
    process = get_context("fork").Process(target=_die_while_putting_in_place, args=(to, where))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(("where", "content"), [("before", "old"), ("after", "new")])
def test_the_next_export_ends_what_a_killed_one_broke_off(tmp_path: Path, where: str, content: str) -> None:
    to = tmp_path / "digits"
    _place(to, "old")
    _broken_off(to, where)
    with staging(to):
        assert (to / "saved_model" / "saved_model.pb").read_text() == content
    _place(to, "newest")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert (to / "saved_model" / "saved_model.pb").read_text() == "newest"


def _as_an_older_version_put_it_aside(to: Path) -> None:
    to.rename(to.with_name(f".{to.name}.{'0' * 32}"))


@pytest.mark.parametrize("put_aside", [lambda to: _broken_off(to, "before"), _as_an_older_version_put_it_aside])
def test_the_only_copy_of_an_export_is_never_swept(tmp_path: Path, put_aside) -> None:
    to = tmp_path / "digits"
    _place(to, "old")
    put_aside(to)
    # By a user who found nothing there.
    to.mkdir()
    with pytest.raises(RuntimeError), staging(to):
        raise RuntimeError
    assert (to / "saved_model" / "saved_model.pb").read_text() == "old"
    put_aside(to)
    to.mkdir()
    (to / "thesis.tex").write_text("precious")
    with staging(to):
        pass
    (aside,) = (each for each in tmp_path.iterdir() if each != to)
    assert (aside / "saved_model" / "saved_model.pb").read_text() == "old"
    assert (to / "thesis.tex").read_text() == "precious"


def test_a_folder_that_does_not_tell_its_names_can_have_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As for anybody but root in a folder of the mode 0300.
    def refused(self: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refused)
        _place(tmp_path / "digits", "new")
    assert (tmp_path / "digits" / "champion.json").exists()


def test_an_error_without_words_is_told_by_its_own(tmp_path: Path) -> None:
    to = tmp_path / "digits"
    with pytest.raises(ExportError, match=r"cannot export to .*: it ended; free space"), staging(to):
        raise OSError("it ended")


def test_an_export_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    to = tmp_path / "digits"
    with staging(to) as one, staging(to) as other:
        assert one.is_dir() and other.is_dir()


def _everything(folder: Path) -> dict[str, str | None]:
    return {str(path.relative_to(folder)): path.read_text() if path.is_file() else None for path in folder.rglob("*")}


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
