"""Files that are either whole or not there, also after a power cut."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path


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
