"""An export in the study's artifacts: each file once by its SHA-256, and the way back to a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from storage.artifacts import StudyArtifacts
from storage.champions import KeptExport
from storage.errors import MissingArtifact
from storage.files import sha256_of
from tuner.champion.placement import check_destination, put_in_place, staging
from tuner.champion.record import RECORD, Champion, read_champion
from tuner.errors import RegistryError


def keep_export(artifacts: StudyArtifacts, folder: Path, files: Mapping[str, str]) -> KeptExport:
    """Puts an export's files into the study's artifacts; equal content is stored once.

    Args:
        files: SHA-256 of every file but the record, as the record has them.

    Raises:
        RegistryError: a file is not what the record says.
        ArtifactsUnavailable: the artifacts cannot be reached.
        OSError: the disk is full, for example.
    """
    kept = {**files, RECORD: sha256_of(folder / RECORD)}
    size = 0
    for name, sha256 in kept.items():
        blob = artifacts.put_blob(folder / name)
        if blob.sha256 != sha256:
            raise RegistryError(f"{folder / name} changed while it was registered: export again")
        size += blob.size or 0
    return KeptExport(digest_of(kept), size, kept)


def digest_of(files: dict[str, str]) -> str:
    """SHA-256 of an export as a whole: of its sorted names and hashes as JSON without blanks."""
    listed = json.dumps(sorted(files.items()), separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(listed.encode("ascii")).hexdigest()


def fetch_export(artifacts: StudyArtifacts, kept: KeptExport, called: str, to: Path) -> Champion:
    """Writes a kept export to a folder, every file checked, all of it or nothing.

    Args:
        called: the champion, in words.
        to: the folder to make; an earlier export there is replaced in one step.

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
        champion = read_champion(built)
        put_in_place(built, to)
    return champion


def _fetch(artifacts: StudyArtifacts, name: str, sha256: str, called: str, built: Path) -> None:
    if not _is_inside(name):
        raise RegistryError(f"{called} is not fetched: its file {name!r} would be outside of the folder")
    file = built / name
    file.parent.mkdir(parents=True, exist_ok=True)
    blob = artifacts.blob(sha256)
    where = artifacts.place_of(blob.key)
    try:
        with artifacts.fetched_unchecked(blob) as found:
            shutil.copyfile(found, file)
    except MissingArtifact:
        raise RegistryError(f"{called} is not fetched: its {name} is missing, {where}; export again") from None
    # The copy is checked: a folder's file may change after a look at it.
    if sha256_of(file) != sha256:
        raise RegistryError(
            f"{called} is not fetched: its {name} is not the file that was registered, {where}; export again"
        )


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
