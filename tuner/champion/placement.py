"""Puts a finished export in its place: all of it or nothing, whatever dies on the way.

An earlier export makes room for a new one. It is known by its record, and only what that lists, with the same SHA-256,
and the record itself as it was written are ever removed: a folder with anything else in it is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from storage.files import sha256_of
from storage.held_folders import HeldFolder, hold, sweep
from tuner.champion.records.champion_json import NEEDED, RECORD, files_under, is_inside, is_unchanged, raised
from tuner.data.bad_files import printable
from tuner.errors import ExportError

_REPLACED = "replaced"


def check_destination(to: Path) -> None:
    """Accepts what is absent, an empty folder, or an earlier export, which will be replaced.

    Raises:
        ExportError: anything else is there, be it beside the files of an export.
    """
    try:
        if not to.exists():
            return
        if not to.is_dir():
            raise ExportError(f"{to} is a file: name a folder to export to")
        if any(to.iterdir()):
            _check_replaceable(to, to)
    except OSError as error:
        raise _unwritable(to, error) from error


@contextlib.contextmanager
def staging(to: Path) -> Iterator[Path]:
    """A new folder beside ``to``, on the same file system, that is gone afterwards.

    Raises:
        ExportError: it cannot be created, or the disk filled up while the caller wrote.
    """
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        _bring_back(to)
        with HeldFolder(lambda: _beside(to)) as temporary:
            yield Path(temporary)
    except OSError as error:
        raise _unwritable(to, error) from error


def put_in_place(built: Path, to: Path) -> None:
    """Renames a finished folder to ``to``; an earlier export goes only once the new one is there.

    Raises:
        ExportError: something else has appeared at ``to``, or in it.
        OSError: the disk is full, for example.
    """
    check_destination(to)
    flush(built)
    if not to.exists():
        os.replace(built, to)
    else:
        with _put_aside(to) as aside:
            os.replace(built, to)
        _remove_export(aside)
    for superseded in _put_aside_before(to):
        with _held(superseded) as is_ours:
            if is_ours:
                _remove_export(superseded)
    _fsync(to.parent)


@contextlib.contextmanager
def _put_aside(to: Path) -> Iterator[Path]:
    """An earlier export under another name; back again if the block fails."""
    aside = _beside(to, _REPLACED)
    with _held(to):
        os.replace(to, aside)
        try:
            # Whatever appeared since the last look has moved with the folder, and nothing finds its way here any more.
            if any(aside.iterdir()):
                _check_replaceable(aside, to)
            yield aside
        except BaseException:
            os.replace(aside, to)
            raise


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Holds a folder; whether nobody else has it."""
    held = hold(folder)
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def flush(folder: Path) -> None:
    """Forces the files under a folder, and their names, to the disk."""
    for file in files_under(folder):
        _fsync(file)
    for parent, _, _ in os.walk(folder):
        _fsync(Path(parent))


def _check_replaceable(folder: Path, called: Path) -> None:
    """Raises ExportError for a folder that is no export, or has anything else in it.

    Args:
        called: where the user has the folder.
    """
    record = _record(folder)
    if record is None:
        raise ExportError(f"{called} is not empty and not an export (no {RECORD} of one): name another folder")
    others = [name for name in _names_in(folder) if not _is_as_exported(folder, name, record)]
    if others:
        more = f", and so {'are' if len(others) > 2 else 'is'} {len(others) - 1} more" if len(others) > 1 else ""
        raise ExportError(
            f"{printable(str(called / others[0]))} is not a file of the export that is there, or not as it was "
            f"exported{more}: nothing was replaced; take it elsewhere, or name another folder"
        )


def _record(folder: Path) -> Mapping[str, Any] | None:
    """The record in a folder, whichever version wrote it; None if it is no export's record."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    files = record.get("files") if isinstance(record, dict) else None
    if (
        not isinstance(files, dict)
        or not {"study", "trial", "format"} <= record.keys()
        or not files.keys() >= {*NEEDED}
    ):
        return None
    return record


def _is_as_exported(folder: Path, name: str, record: Mapping[str, Any]) -> bool:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        return False
    if name == RECORD:
        return is_unchanged(record)
    listed = record["files"]
    return name in listed and is_inside(name) and bool(sha256_of(path) == listed[name])


def _names_in(folder: Path) -> Iterator[str]:
    """Everything in a folder but folders, by relative POSIX path. A folder without anything in it is no loss."""
    for parent, folders, files in os.walk(folder, onerror=raised):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted([*files, *links]):
            yield Path(parent, name).relative_to(folder).as_posix()


def _remove_export(folder: Path) -> None:
    """Removes the files of an export and the folders that this leaves empty; anything else stays."""
    with contextlib.suppress(OSError):
        record = _record(folder)
        if record is None:
            return
        for name in [*_names_in(folder)]:
            if name != RECORD and _is_as_exported(folder, name, record):
                (folder / name).unlink()
        # Last, since it says what the others are.
        if [*_names_in(folder)] == [RECORD] and _is_as_exported(folder, RECORD, record):
            (folder / RECORD).unlink()
        for parent, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(parent).rmdir()


def _bring_back(to: Path) -> None:
    """Sees to what a process that was killed has left beside ``to``.

    An export that it had put aside comes back, unless something else is there by now. It is removed only once a
    successor is in place: until then it may be the only one.
    """
    aside = _put_aside_before(to)
    sweep(folder for folder in _left_beside(to) if folder not in aside)
    for folder in aside:
        with _held(folder) as is_ours:
            if is_ours and (not to.exists() or (to.is_dir() and not any(to.iterdir()))):
                os.replace(folder, to)


def _put_aside_before(to: Path) -> list[Path]:
    """Earlier exports that made room for another one, by their names or, of an earlier version, by their records."""
    return [each for each in _left_beside(to) if each.suffix == f".{_REPLACED}" or os.access(each / RECORD, os.F_OK)]


def _left_beside(to: Path) -> list[Path]:
    ours = re.compile(rf"\.{re.escape(to.name)}\.[0-9a-f]{{32}}(\.{_REPLACED})?")
    # A folder may take files whose names it does not tell.
    with contextlib.suppress(PermissionError):
        return [each for each in to.parent.iterdir() if ours.fullmatch(each.name)]
    return []


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(to: Path, *what: str) -> Path:
    return to.with_name(".".join(("", to.name, uuid.uuid4().hex, *what)))


def _unwritable(to: Path, error: OSError) -> ExportError:
    return ExportError(f"cannot export to {to}: {error.strerror or error}; free space there or name another folder")
