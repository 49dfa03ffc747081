"""Where artifacts are kept: a folder that all workers reach, or a bucket of S3.

A store knows keys, such as ``trials/00003/run-001/best.keras``, and whole files. What it gives back is held to the
caller's :class:`Artifact`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from storage.errors import DamagedArtifact
from storage.files import sha256_of


@dataclass(frozen=True)
class Artifact:
    """A file in a store, and how it is recognised.

    Attributes:
        size: in bytes; None for one that an older version wrote down without.
        sha256: in hexadecimal; None likewise.
    """

    key: str
    size: int | None = None
    sha256: str | None = None


class ArtifactStore(Protocol):
    """Whole files by key. Every method raises ArtifactsUnavailable when the store cannot be reached or refuses.

    Attributes:
        place: the store as people name it: an absolute folder, or ``s3://bucket/prefix``.
    """

    place: str

    def put(self, key: str, write: Callable[[Path], None]) -> Artifact:
        """Keeps a file, whole or not at all, in place of what the key named before.

        Args:
            key: ``{size}`` and ``{sha256}`` in it become those of the file.
            write: writes the file to the path that it is given, which ends like the key.

        Raises:
            ArtifactsUnavailable: also where ``write`` found the store full, over a quota, read-only, stale or gone.
            Exception: what else ``write`` raises; nothing is left behind.
        """

    def fetched(self, key: str) -> AbstractContextManager[Path]:
        """The file, on this machine while the block lasts.

        Raises:
            MissingArtifact: there is none.
        """

    def remove(self, key: str) -> None:
        """Deletes a file; nothing happens if there is none."""

    def keys(self, prefix: str) -> list[str]:
        """Every key that begins with the prefix, which ends with ``/``; what a writer that died left behind too."""


def as_written(key: str, file: Path) -> Artifact:
    """What ``file`` will be under ``key``."""
    size, sha256 = file.stat().st_size, sha256_of(file)
    return Artifact(key.format(size=size, sha256=sha256), size, sha256)


def check(artifact: Artifact, file: Path, place: str) -> None:
    """Holds a fetched file to what was recorded when it was written.

    Raises:
        DamagedArtifact: it is torn, or another one.
    """
    size = file.stat().st_size
    if artifact.size is not None and size != artifact.size:
        raise DamagedArtifact(place, artifact.key, f"it has {size:,} bytes, {artifact.size:,} were written")
    if artifact.sha256 is not None and sha256_of(file) != artifact.sha256:
        raise DamagedArtifact(place, artifact.key, "its SHA-256 is not the recorded one")
