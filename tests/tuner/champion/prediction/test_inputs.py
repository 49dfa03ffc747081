from __future__ import annotations

import os
from pathlib import Path

from tuner.champion.prediction.inputs import Input, expand


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_files_are_taken_as_named_and_folders_searched_in_order(tmp_path: Path) -> None:
    _touch(tmp_path, "z.dat", "b/2.PNG", "b/1.jpg", "b/a/0.gif", "b/.hidden.png", "b/.git/x.png")
    _touch(tmp_path, "b/read.me")
    found = list(expand([tmp_path / "z.dat", tmp_path / "b", tmp_path / "z.dat"]))
    names = [item.file.relative_to(tmp_path).as_posix() for item in found]
    assert names == ["z.dat", "b/1.jpg", "b/2.PNG", "b/a/0.gif", "z.dat"]
    assert not any(item.error for item in found)


def test_what_cannot_be_read_has_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    os.mkfifo(tmp_path / "pipe")
    found = list(expand([tmp_path / "missing.png", empty, tmp_path / "pipe"]))
    assert [item.file.name for item in found] == ["missing.png", "empty", "pipe"]
    assert "No such file" in (found[0].error or "")
    assert "holds no images" in (found[1].error or "")
    assert found[2] == Input(tmp_path / "pipe", "is not a regular file")
