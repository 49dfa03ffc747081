"""An export in the study's artifacts: each file once by its SHA-256, and the way back to a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage import champions
from storage.artifacts import StudyArtifacts
from storage.champions import KeptExport
from storage.errors import MissingArtifact
from storage.files import sha256_of
from tuner.champion.placement import check_destination, put_in_place, staging
from tuner.champion.records.champion_json import RECORD, Champion, is_inside, read_as_written
from tuner.errors import RegistryError
from tuner.study.open_study import OpenStudy


def register_export(study: OpenStudy, folder: Path, champion: Champion, *, stays: bool = True) -> int:
    """Keeps an export's files, then registers it; gives its version. Doing it again after a failure is safe.

    Args:
        champion: what the folder's record says.
        stays: whether the folder does, so that it is worth to be known.

    Raises:
        RegistryError: a file is not what the record says.
        StorageError: the artifacts or the database cannot be reached.
        OSError: the disk is full, for example.
    """
    kept = keep_export(study.artifacts, folder, champion.files)
    return champions.register(
        study.database,
        study.id,
        champion.trial,
        path=str(folder) if stays else "",
        value=champion.value,
        verification=champion.verification.model_dump(mode="json"),
        kept=kept,
    )


def keep_export(artifacts: StudyArtifacts, folder: Path, files: Mapping[str, str]) -> KeptExport:
    """Puts an export's files into the study's artifacts; equal content is stored once.

    Args:
        files: SHA-256 of every file but the record, as the record has them.

    Raises:
        RegistryError: a file is not what the record says.
        ArtifactsUnavailable: the artifacts cannot be reached.
        OSError: the disk is full, for example.
    """
    kept = files_of(folder, files)
    size = 0
    for name, sha256 in kept.items():
        blob = artifacts.put_blob(folder / name)
        if blob.sha256 != sha256:
            raise RegistryError(f"{folder / name} changed while it was registered: export again")
        size += blob.size or 0
    return KeptExport(digest_of(kept), size, kept)


def files_of(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Every file of an export: the record too, which cannot list itself."""
    return {**files, RECORD: sha256_of(folder / RECORD)}


def digest_of(files: dict[str, str]) -> str:
    """SHA-256 of an export as a whole: of its sorted names and hashes as JSON without blanks."""
    listed = json.dumps(sorted(files.items()), separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(listed.encode("ascii")).hexdigest()


def fetch_export(artifacts: StudyArtifacts, kept: KeptExport, called: str, to: Path) -> Champion:
    """``fetch_as_written``, for the record alone."""
    return fetch_as_written(artifacts, kept, called, to)[0]


def fetch_as_written(
    artifacts: StudyArtifacts, kept: KeptExport, called: str, to: Path
) -> tuple[Champion, Mapping[str, Any]]:
    """Writes a kept export to a folder, every file checked, all of it or nothing.

    Args:
        called: the champion, in words.
        to: the folder to make; an earlier export there is replaced in one step.

    Returns:
        Its record, as ``read_as_written`` gives it.

    Raises:
        RegistryError: a file is missing or is not what was registered, or what was registered is no export.
        ExportError: ``to`` cannot be written or holds something else.
        ArtifactsUnavailable: the artifacts cannot be reached.
        PredictError: the export is of a later version of this software.
    """
    to = to.resolve()
    check_destination(to)
    if digest_of(dict(kept.files)) != kept.digest:
        raise RegistryError(f"{called} is not fetched: its files in the database are not those of its digest")
    with staging(to) as temporary:
        built = temporary / "export"
        built.mkdir()
        for name, sha256 in kept.files.items():
            _fetch(artifacts, name, sha256, called, built)
        read = read_as_written(built)
        put_in_place(built, to)
    return read


def _fetch(artifacts: StudyArtifacts, name: str, sha256: str, called: str, built: Path) -> None:
    if not is_inside(name):
        raise RegistryError(f"{called} is not fetched: its file {name!r} would be outside of the folder")
    file = built / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with kept_file(artifacts, name, sha256, called) as found:
        shutil.copyfile(found, file)
    # The copy is checked: a folder's file may change after a look at it.
    check_kept_file(artifacts, name, sha256, called, file)


@contextmanager
def kept_file(artifacts: StudyArtifacts, name: str, sha256: str, called: str) -> Iterator[Path]:
    """A file of a kept export, unchecked. Raises RegistryError if it is missing."""
    blob = artifacts.blob(sha256)
    try:
        with artifacts.fetched_unchecked(blob) as found:
            yield found
    except MissingArtifact:
        where = artifacts.place_of(blob.key)
        raise RegistryError(f"{called} is not fetched: its {name} is missing, {where}; export again") from None


def check_kept_file(artifacts: StudyArtifacts, name: str, sha256: str, called: str, file: Path) -> None:
    """Raises RegistryError if ``file`` is not what was registered under that name."""
    if sha256_of(file) != sha256:
        where = artifacts.place_of(artifacts.blob(sha256).key)
        raise RegistryError(
            f"{called} is not fetched: its {name} is not the file that was registered, {where}; export again"
        )
