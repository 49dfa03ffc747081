from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from storage.artifacts import StudyArtifacts, atomic_write_bytes, atomic_write_text, sha256_of


def test_every_path_is_inside_the_study(tmp_path: Path) -> None:
    artifacts = StudyArtifacts.at(str(tmp_path), "digits")
    paths = [
        artifacts.checkpoint(7),
        artifacts.resume_folder(7),
        artifacts.log(7),
        artifacts.splits(),
        artifacts.worker_log("node-1"),
        artifacts.launcher_log(),
        artifacts.preflight_log(),
        artifacts.export_log(),
    ]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(tmp_path / "digits") for path in paths)
    assert artifacts.checkpoint(7).parent == artifacts.trial_folder(7) != artifacts.trial_folder(8)
    assert artifacts.checkpoint(7).name == "best.keras"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a file name"):
        StudyArtifacts(tmp_path, name)
    with pytest.raises(ValueError, match="not a file name"):
        StudyArtifacts(tmp_path, "digits").worker_log(name)


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.json"
    atomic_write_text(file, "first")
    atomic_write_text(file, "zweite ü \udcff")
    assert file.read_bytes() == "zweite ü ".encode() + b"\xff"
    assert os.listdir(file.parent) == ["file.json"]
    assert sha256_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    atomic_write_bytes(file, b"old")
    with pytest.raises(TypeError):
        atomic_write_bytes(file, "text")  # type: ignore[arg-type]
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_removing_is_repeatable(tmp_path: Path) -> None:
    artifacts = StudyArtifacts(tmp_path, "digits")
    atomic_write_bytes(artifacts.checkpoint(1), b"model")
    atomic_write_bytes(artifacts.resume_folder(1) / "epoch-3", b"state")
    for _ in range(2):
        artifacts.remove_checkpoint(1)
        artifacts.remove_resume(1)
    assert list(artifacts.trial_folder(1).iterdir()) == []
