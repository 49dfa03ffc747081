"""A champion as one tar archive, made while it is read, and back to a folder."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from storage.artifacts import StudyArtifacts
from storage.champions import KeptExport
from tuner.champion.placement import check_destination, put_in_place, staging
from tuner.champion.records.champion_json import Champion, is_inside, read_champion
from tuner.champion.registry.files import check_kept_file, digest_of, files_of, kept_file
from tuner.errors import RegistryError

_PIECE = 1 << 20


def archived(artifacts: StudyArtifacts, kept: KeptExport, called: str, folder: str, at: datetime) -> Iterator[bytes]:
    """A kept export as a tar archive of one folder, in pieces; every file is checked before it goes out.

    Args:
        called: the champion, in words.
        at: when its files shall be said to be from.

    Raises:
        RegistryError: a file is missing or is not what was registered.
        ArtifactsUnavailable: the artifacts cannot be reached.
    """
    for name, sha256 in sorted(kept.files.items()):
        if not is_inside(name):
            raise RegistryError(f"{called} is not fetched: its file {name!r} would be outside of the folder")
        with kept_file(artifacts, name, sha256, called) as file:
            check_kept_file(artifacts, name, sha256, called, file)
            yield from _member(f"{folder}/{name}", file, at)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _member(name: str, file: Path, at: datetime) -> Iterator[bytes]:
    about = tarfile.TarInfo(name)
    about.size, about.mtime, about.mode = file.stat().st_size, int(at.timestamp()), 0o644
    yield about.tobuf(tarfile.PAX_FORMAT)
    left = about.size
    with file.open("rb") as opened:
        while left and (piece := opened.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece
    if left:
        raise RegistryError(f"{file} became shorter while it was read")
    yield b"\0" * (-about.size % tarfile.BLOCKSIZE)


def unpack(archive: IO[bytes], digest: str, called: str, to: Path) -> Champion:
    """Writes an archived champion to a folder, all of it or nothing.

    Args:
        digest: that it must have.
        called: the champion, in words.
        to: the folder to make; an earlier export there is replaced in one step.

    Raises:
        RegistryError: it is no champion, or not the one of that digest.
        ExportError: ``to`` cannot be written or holds something else.
        PredictError: the export is of a later version of this software, or damaged.
    """
    to = to.resolve()
    check_destination(to)
    with staging(to) as temporary:
        try:
            with tarfile.open(fileobj=archive, mode="r:") as opened:
                opened.extractall(temporary / "archive", filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise RegistryError(f"{called} is not fetched: what was received is not a whole archive: {error}") from None
        folders = [each for each in (temporary / "archive").iterdir() if each.is_dir()]
        if len(folders) != 1:
            raise RegistryError(f"{called} is not fetched: what was received does not contain exactly one folder")
        champion = read_champion(folders[0])
        if digest_of(files_of(folders[0], champion.files)) != digest:
            raise RegistryError(f"{called} is not fetched: what was received is not what was registered")
        put_in_place(folders[0], to)
    return champion
