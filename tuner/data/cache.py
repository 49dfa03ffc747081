"""Decodes a data set once per node and keeps it for every trial that runs there."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from tuner.data.bad_files import printable
from tuner.data.fingerprint import contents, fingerprint
from tuner.data.image_files import ImageFile, Scan, scan, source_roots
from tuner.data.prepared import PreparedData, Split, open_prepared, write_meta
from tuner.data.splits import TRAIN
from tuner.errors import DataError
from tuner.spec import ImageDirectory

__all__ = ["PreparedData", "Progress", "Split", "open_prepared", "prepare"]

Progress = Callable[[int, int], None]


def prepare(data: ImageDirectory, cache_root: Path, progress: Progress | None = None) -> PreparedData:
    """Finds, checks, decodes and splits images, or reuses what an earlier call left.

    Every call reads and hashes all files, so a changed file is never overlooked. Processes that
    prepare the same data at once wait for one of them. Decoding runs TensorFlow in this process.

    Args:
        data: where the images are and how to prepare them.
        cache_root: a folder on this node's own disk; created if need be.
        progress: called with (files decoded, files to decode) while decoding. It starts again from
            0 once when corrupt files are skipped.

    Raises:
        DataError: the folders or files cannot be used, or the cache cannot be written.
    """
    found = scan(data)
    by_source = {source: contents(files) for source, files in found.sources.items()}
    identity = fingerprint(data, found, by_source)
    unreadable = {
        file: content.problem
        for source, files in found.sources.items()
        for file, content in zip(files, by_source[source], strict=True)
        if content.problem
    }
    folder = cache_root.absolute() / _folder_name(identity)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            prepared = _reusable(folder)
            if prepared is None:
                _build(data, found, identity, unreadable, folder, progress)
                prepared = open_prepared(folder)
            return _as_found(prepared, data, found)
    except OSError as error:
        raise _unwritable(folder.parent, error) from error


def _folder_name(identity: str) -> str:
    # Another TensorFlow may decode JPEG or resize a little differently.
    return f"images-{identity[:32]}-tensorflow-{importlib.metadata.version('tensorflow')}"


def _reusable(folder: Path) -> PreparedData | None:
    try:
        return open_prepared(folder)
    except DataError:
        return None


def _as_found(prepared: PreparedData, data: ImageDirectory, found: Scan) -> PreparedData:
    """Records what may have changed though the images did not: their place, unsupported files."""
    roots = source_roots(data)
    splits = {name: replace(split, root=roots.get(name, roots[TRAIN])) for name, split in prepared.splits.items()}
    images = {file.shown for files in found.sources.values() for file in files}
    undecodable = (bad for bad in prepared.bad_files if bad.file in images)
    bad_files = (*found.rejected, *undecodable)
    moved = any(split.root != prepared.splits[name].root for name, split in splits.items())
    if not moved and bad_files == prepared.bad_files:
        return prepared
    current = replace(prepared, splits=splits, bad_files=bad_files)
    write_meta(current, prepared.folder)
    return current


def _build(
    data: ImageDirectory,
    found: Scan,
    identity: str,
    unreadable: dict[ImageFile, str],
    folder: Path,
    progress: Progress | None,
) -> None:
    # TensorFlow is loaded only when there is something to decode.
    from tuner.data.build import write_arrays

    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        splits, bad = write_arrays(data, found, unreadable, temporary, progress)
        shape = (*data.image_size, data.channels)
        bad_files = (*found.rejected, *bad)
        write_meta(
            PreparedData(folder, identity, data.kind, shape, found.class_names, splits, bad_files),
            temporary,
        )
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
    return DataError(
        f"the data cache in {printable(os.fspath(root))} cannot be written: {error.strerror}; free "
        "space there, or name another folder in the environment variable TUNER_CACHE"
    )
