"""Folders for what is needed for a while: each is held by its process, and swept once that is gone, however it ended.

A lock of the folder itself holds it. The kernel releases it with its process, and what is locked is never swept; where
a file system has no such locks, nothing is.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_SCRATCH = re.compile(r"tuner-[0-9a-f]{16}")


class HeldFolder:
    """A new folder of this process, gone with ``cleanup``, with the block, or with the process.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        while True:
            path.mkdir(mode=0o700)
            descriptor = hold(path)
            if path.exists():
                break
            # Somebody who swept found it before it was held.
            if descriptor is not None:
                os.close(descriptor)
        self.path = path
        self._finalizer = weakref.finalize(self, _remove, path, descriptor)

    @property
    def name(self) -> str:
        return os.fspath(self.path)

    def cleanup(self) -> None:
        self._finalizer()

    def outlive_exit(self) -> None:
        """Leaves ``cleanup`` to the caller also when this process ends in order."""
        self._finalizer.atexit = False

    def __enter__(self) -> str:
        return self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup()


def scratch_folder() -> HeldFolder:
    """A folder for temporary files, among the system's. Those of processes that were killed are removed meanwhile."""
    root = Path(tempfile.gettempdir())
    with suppress(OSError):
        sweep(each for each in root.iterdir() if _SCRATCH.fullmatch(each.name))
    return HeldFolder(root / f"tuner-{uuid.uuid4().hex[:16]}")


def sweep(folders: Iterable[Path]) -> None:
    """Removes those of this user's folders that nobody holds."""
    for folder in folders:
        descriptor = hold(folder)
        if descriptor is not None:
            _remove(folder, descriptor)


def hold(folder: Path) -> int | None:
    """Holds a folder of this user until the descriptor is closed; None where somebody has it, or it cannot be held."""
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass
    if descriptor is not None:
        os.close(descriptor)
    return None


def _remove(folder: Path, descriptor: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if descriptor is not None:
        with suppress(OSError):
            os.close(descriptor)
