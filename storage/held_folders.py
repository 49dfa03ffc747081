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
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_SCRATCH = re.compile(r"tuner-[0-9a-f]{16}")


class HeldFolder:
    """A new folder of this process, gone with ``cleanup``, with the block, or with the process.

    Args:
        new_path: gives another path each time.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, new_path: Callable[[], Path]) -> None:
        self.path, descriptor = _made(new_path)
        self._finalizer = weakref.finalize(self, _remove, self.path, descriptor)

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
    return HeldFolder(lambda: root / f"tuner-{uuid.uuid4().hex[:16]}")


def no_scratch(error: OSError) -> str:
    """Says that ``scratch_folder`` could not make one, and what helps."""
    return f"no folder for temporary files can be made: {error.strerror}; free space there, or name another in TMPDIR"


def sweep(folders: Iterable[Path]) -> None:
    """Removes those of this user's folders that nobody holds."""
    for folder in folders:
        descriptor = hold(folder)
        if descriptor is not None:
            _remove(folder, descriptor)


def hold(folder: Path) -> int | None:
    """Holds a folder of this user until the descriptor is closed; None where somebody has it, or it cannot be held."""
    with suppress(OSError):
        return _locked(folder)
    return None


def _made(new_path: Callable[[], Path]) -> tuple[Path, int | None]:
    """A new folder that nobody sweeps, and what holds it; None where the file system has no locks."""
    while True:
        path = new_path()
        path.mkdir(mode=0o700)
        try:
            descriptor = _locked(path)
        except (BlockingIOError, FileNotFoundError):
            # Somebody who swept found it before it was held, and removes it.
            continue
        except OSError:
            descriptor = None
        if path.exists():
            return path, descriptor
        if descriptor is not None:
            os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """None for another user's. Raises OSError: BlockingIOError if somebody has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove(folder: Path, descriptor: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if descriptor is not None:
        with suppress(OSError):
            os.close(descriptor)
