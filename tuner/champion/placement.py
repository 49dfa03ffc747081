"""Puts a finished export in its place: all of it or nothing, whatever dies on the way."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from tuner.champion.records.champion_json import RECORD, files_under
from tuner.errors import ExportError


def check_destination(to: Path) -> None:
    """Accepts what is absent, an empty folder, or an earlier export, which will be replaced.

    Raises:
        ExportError: anything else is there.
    """
    try:
        if not to.exists():
            return
        if not to.is_dir():
            raise ExportError(f"{to} is a file: name a folder to export to")
        if not (to / RECORD).is_file() and any(to.iterdir()):
            raise ExportError(f"{to} is not empty and not an export (no {RECORD}): name another folder")
    except OSError as error:
        raise _unwritable(to, error) from error


@contextlib.contextmanager
def staging(to: Path) -> Iterator[Path]:
    """A new folder beside ``to``, on the same file system, that is gone afterwards.

    Raises:
        ExportError: it cannot be created, or the disk filled up while the caller wrote.
    """
    temporary = _beside(to)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
    except OSError as error:
        raise _unwritable(to, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(built: Path, to: Path) -> None:
    """Renames a finished folder to ``to``; an earlier export goes only once the new one is there.

    Raises:
        ExportError: something else has appeared at ``to``.
        OSError: the disk is full, for example.
    """
    check_destination(to)
    flush(built)
    aside = _beside(to)
    replaces = to.exists()
    if replaces:
        os.replace(to, aside)
    try:
        os.replace(built, to)
    except BaseException:
        if replaces:
            os.replace(aside, to)
        raise
    _fsync(to.parent)
    shutil.rmtree(aside, ignore_errors=True)


def flush(folder: Path) -> None:
    """Forces the files under a folder, and their names, to the disk."""
    for file in files_under(folder):
        _fsync(file)
    for parent, _, _ in os.walk(folder):
        _fsync(Path(parent))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(to: Path) -> Path:
    return to.with_name(f".{to.name}.{uuid.uuid4().hex}")


def _unwritable(to: Path, error: OSError) -> ExportError:
    return ExportError(f"cannot export to {to}: {error.strerror}; free space there or name another folder")
