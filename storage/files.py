"""Files that are either whole or not there, also after a power cut."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

# What a file system says that is full, over a quota, read-only, stale, broken, or not there any more.
_OF_FILE_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EIO, errno.ENODEV, errno.ENOTCONN)
_QUOTED = tuple(os.strerror(number) for number in _OF_FILE_SYSTEM[:4])


def is_of_file_system(error: BaseException) -> bool:
    """Whether the error is that of a file system that cannot be written to now, and no mistake of whoever writes."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _OF_FILE_SYSTEM
    # h5py and TensorFlow quote the system in a text of their own.
    return any(said in str(error) for said in _QUOTED)


def publish(temporary: Path, path: Path) -> None:
    """Gives a finished file of the same file system its name, in place of what was there.

    Raises:
        OSError: what was there before stays.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    # The name is durable only with its folder; some network file systems refuse this.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
