"""Prepares a data set once per node and keeps it for every trial that runs there."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock

from tuner.data.bad_files import printable
from tuner.data.cache_contents import free_up, limit, make_room
from tuner.data.prepared import PreparedData, Split, open_prepared, write_meta
from tuner.data.prepared_size import check_bytes, prepared_bytes
from tuner.data.source import DataSource, Progress
from tuner.data.sources import find_source
from tuner.data.splits import TRAIN
from tuner.errors import DataError, data_at
from tuner.spec.data import Csv, DataSpec

__all__ = ["PreparedData", "Progress", "Split", "open_or_mend", "open_prepared", "prepare"]

_log = logging.getLogger(__name__)


def prepare(data: DataSpec, cache_root: Path, progress: Progress | None = None) -> PreparedData:
    """Finds, checks, decodes and splits data, or reuses what an earlier call left.

    Every call reads and hashes all files, so a changed file is never overlooked. Processes that
    prepare the same data at once wait for one of them.

    Args:
        data: where the examples are and how to prepare them.
        cache_root: a folder on this node's own disk; created if need be.
        progress: called with (examples done, examples in all) while they are written.

    Raises:
        DataError: the data cannot be used, or the cache cannot be written.
    """
    root = cache_root.absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        limit()
        with _scratch(root) as scratch, data_at(data.key_of(TRAIN)):
            source = find_source(data, scratch)
            folder = root / source.folder_name
            with FileLock(folder.with_name(f"{folder.name}.lock")):
                prepared = _reusable(folder)
                if prepared is None:
                    _check_room(data, folder)
                    _build(source, folder, progress)
                    prepared = open_prepared(folder)
                    _say_gone(make_room(root, folder))
                return _as_found(source, prepared)
    except OSError as error:
        raise _unwritable(root, error) from error


def _check_room(data: DataSpec, folder: Path) -> None:
    """Raises DataError unless the disk has room for the data, be it in place of what nobody uses."""
    # Of tables only a bound is known, far above what most take.
    if isinstance(data, Csv):
        return
    root = folder.parent
    free = shutil.disk_usage(root).free
    taken = prepared_bytes(data, free)
    if taken is not None and taken > free:
        _say_gone(free_up(root, folder, taken - free))
        free = shutil.disk_usage(root).free
    check_bytes(data, taken, free, f"the disk of the data cache in {printable(str(root))} has")


def _say_gone(names: Iterable[str]) -> None:
    for name in names:
        _log.info("%s made room in the data cache", name)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    _remove_dead_scratch(root)
    scratch = root / f".scratch-{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex}"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_dead_scratch(root: Path) -> None:
    """Removes what processes of this machine left behind that were killed."""
    mine = f".scratch-{os.uname().nodename}-"
    for folder in root.glob(f"{mine}*"):
        pid, _, _ = folder.name.removeprefix(mine).partition("-")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def open_or_mend(folder: Path, data: DataSpec) -> PreparedData:
    """Data that was prepared on this node; it is prepared again if it has been damaged since.

    Raises:
        DataError: it is damaged, and cannot be prepared again as it was.
    """
    try:
        return open_prepared(folder)
    except DataError as error:
        _log.warning("%s; it is prepared again", error)
        again = prepare(data, folder.parent)
        if again.folder.resolve() != folder.resolve():
            raise DataError(f"{error}, and its source has changed since") from None
        return again


def _reusable(folder: Path) -> PreparedData | None:
    try:
        return open_prepared(folder, whole=True)
    except DataError as error:
        if folder.exists():
            _log.warning("%s; it is prepared again", error)
        return None


def _as_found(source: DataSource, prepared: PreparedData) -> PreparedData:
    current = source.as_found(prepared)
    if current is not prepared:
        write_meta(current, prepared.folder)
    return current


def _build(source: DataSource, folder: Path, progress: Progress | None) -> None:
    ours = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{32}}")
    for leftover in (each for each in folder.parent.iterdir() if ours.fullmatch(each.name)):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        write_meta(source.write(temporary, progress), temporary)
        _swap_in(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap_in(temporary: Path, folder: Path) -> None:
    """Renames a finished folder into place; a damaged one that is there goes to the trash."""
    trash = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    if folder.exists():
        os.replace(folder, trash)
    os.replace(temporary, folder)
    shutil.rmtree(trash, ignore_errors=True)


def _unwritable(root: Path, error: OSError) -> DataError:
    advice = "free space there, or name another folder in the environment variable TUNER_CACHE"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        advice = "raise the limit of open files (ulimit -n)"
    return DataError(f"the data cache in {printable(os.fspath(root))} cannot be written: {error.strerror}; {advice}")
