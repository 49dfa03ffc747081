"""Folders for a while: they go with their process, however it ends, and with nobody else."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from storage.held_folders import hold, scratch_folder


@pytest.fixture
def system_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _leave_a_folder_behind() -> None:
    folder = scratch_folder()
    Path(folder.name, "model.keras").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_is_swept_and_nothing_else(system_folder: Path) -> None:
    for name in ("tuner-notes", "tuner-0123456789abcdef.bak", "other"):
        (system_folder / name).mkdir()
    elsewhere = system_folder / "other" / "precious"
    elsewhere.write_text("precious")
    (system_folder / "tuner-0123456789abcdef").symlink_to(system_folder / "other")
    (system_folder / "tuner-fedcba9876543210").write_text("a file")
    kept = {path.name for path in system_folder.iterdir()}
    process = get_context("fork").Process(target=_leave_a_folder_behind)
    process.start()
    process.join()
    assert len(list(system_folder.iterdir())) == len(kept) + 1
    with scratch_folder() as mine:
        with scratch_folder() as another:
            assert {path.name for path in system_folder.iterdir()} == {*kept, Path(mine).name, Path(another).name}
        assert Path(mine).is_dir()
    assert {path.name for path in system_folder.iterdir()} == kept
    assert elsewhere.read_text() == "precious"


def test_a_folder_that_somebody_sweeps_before_it_is_held_is_left_to_them(
    system_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, swept = Path.mkdir, []

    def made_and_found(path: Path, mode: int = 0o777) -> None:
        make(path, mode)
        if not swept:
            descriptor = hold(path)
            assert descriptor is not None
            swept.append((path, descriptor))

    monkeypatch.setattr(Path, "mkdir", made_and_found)
    with scratch_folder() as mine:
        ((path, descriptor),) = swept
        assert mine != str(path)
        path.rmdir()
        os.close(descriptor)
        with scratch_folder():
            assert Path(mine).is_dir()
