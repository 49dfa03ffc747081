"""Where a study's files are, on a local or shared file system, and how they are written."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


class StudyArtifacts:
    """Owns every path of one study. Folders are made when a file is written, not before.

    Args:
        root: the place of all studies' files.
        study: the study's name, a single path component.
    """

    def __init__(self, root: Path, study: str) -> None:
        self.study = study
        self.folder = root / _component(study)

    @classmethod
    def at(cls, place: str | Path, study: str) -> StudyArtifacts:
        """The artifacts at a place as a study's record names it."""
        return cls(Path(place), study)

    def trial_folder(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:05d}"

    def checkpoint(self, number: int) -> Path:
        """The best epoch's model."""
        return self.trial_folder(number) / "best.keras"

    def resume_folder(self, number: int) -> Path:
        """Resume checkpoints, while the trial is not closed."""
        return self.trial_folder(number) / "resume"

    def log(self, number: int) -> Path:
        """What the trial's process printed."""
        return self.trial_folder(number) / "trial.log"

    def splits(self) -> Path:
        """Which examples are in which split."""
        return self.folder / "splits.json"

    def worker_log(self, worker_id: str) -> Path:
        return self.folder / "workers" / f"{_component(worker_id)}.log"

    def launcher_log(self) -> Path:
        return self.folder / "launcher.log"

    def preflight_log(self) -> Path:
        return self.folder / "preflight.log"

    def export_log(self) -> Path:
        return self.folder / "export.log"

    def remove_checkpoint(self, number: int) -> None:
        """Deletes the trial's model; nothing happens if there is none."""
        self.checkpoint(number).unlink(missing_ok=True)

    def remove_resume(self, number: int) -> None:
        """Deletes the trial's resume checkpoints; nothing happens if there are none."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.resume_folder(number))


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Writes a file that is either whole or not there, also after a power cut; makes its folder.

    Raises:
        OSError: nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def atomic_write_text(path: Path, text: str) -> None:
    """``atomic_write_bytes`` of UTF-8; undecodable bytes of file names come back as they were."""
    atomic_write_bytes(path, text.encode("utf-8", "surrogateescape"))


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _component(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a file name")
    return name


def _sync_folder(folder: Path) -> None:
    # The name is durable only with its folder; some network file systems refuse this.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
