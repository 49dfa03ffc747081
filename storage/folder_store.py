"""Artifacts in a folder, local or on a file system that all workers share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from storage.artifact_store import Artifact, as_written
from storage.errors import ArtifactsUnavailable, MissingArtifact
from storage.files import is_of_file_system, publish


class FolderStore:
    """Keys are paths below the folder, which is made with the first file."""

    def __init__(self, folder: Path) -> None:
        self.place = os.fspath(folder)
        self._folder = folder

    def put(self, key: str, write: Callable[[Path], None]) -> Artifact:
        """As ``ArtifactStore.put``."""
        folder, name = (self._folder / key).parent, Path(key).name
        # Keras goes by the suffix.
        temporary = folder / f".{uuid4().hex}{Path(name).suffix}"
        with self._translating():
            folder.mkdir(parents=True, exist_ok=True)
            try:
                write(temporary)
                artifact = as_written(key, temporary)
                publish(temporary, self._folder / artifact.key)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
        return artifact

    @contextmanager
    def fetched(self, key: str) -> Iterator[Path]:
        """As ``ArtifactStore.fetched``; the file itself, not a copy."""
        file = self._folder / key
        with self._translating():
            is_there = file.is_file()
        if not is_there:
            raise MissingArtifact(self.place, key)
        yield file

    def remove(self, key: str) -> None:
        """As ``ArtifactStore.remove``; a folder that this leaves empty goes too."""
        file = self._folder / key
        with self._translating(), suppress(NotADirectoryError):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            file.parent.rmdir()

    def keys(self, prefix: str) -> list[str]:
        """As ``ArtifactStore.keys``."""
        with self._translating():
            return [
                Path(folder, name).relative_to(self._folder).as_posix()
                for folder, _, names in os.walk(self._folder / prefix, onerror=_raise_unless_missing)
                for name in names
            ]

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._is_to_blame(error):
                raise
            # h5py tells what the system said at length, and with addresses.
            reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
            raise ArtifactsUnavailable(self.place, reason) from error

    def _is_to_blame(self, error: OSError) -> bool:
        """Whether it is the folder, and not something else that whoever wrote was doing."""
        # Of the folder's own parents too, one of which may have become a file.
        named = [Path(os.fsdecode(each)) for each in (error.filename, error.filename2) if isinstance(each, str | bytes)]
        ours = any(self._folder in (each, *each.parents) or each in self._folder.parents for each in named)
        return ours or is_of_file_system(error)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
