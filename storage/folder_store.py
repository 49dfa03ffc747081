"""Artifacts in a folder, local or on a file system that all workers share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from storage.artifact_store import Artifact, as_written
from storage.errors import MissingArtifact
from storage.files import publish


class FolderStore:
    """Keys are paths below the folder, which is made with the first file."""

    def __init__(self, folder: Path) -> None:
        self.place = os.fspath(folder)
        self._folder = folder

    def put(self, key: str, write: Callable[[Path], None]) -> Artifact:
        """As ``ArtifactStore.put``."""
        folder, name = (self._folder / key).parent, Path(key).name
        folder.mkdir(parents=True, exist_ok=True)
        # Keras goes by the suffix.
        temporary = folder / f".{uuid4().hex}{Path(name).suffix}"
        try:
            write(temporary)
            artifact = as_written(key, temporary)
            publish(temporary, self._folder / artifact.key)
        finally:
            temporary.unlink(missing_ok=True)
        return artifact

    @contextmanager
    def fetched(self, key: str) -> Iterator[Path]:
        """As ``ArtifactStore.fetched``; the file itself, not a copy."""
        file = self._folder / key
        if not file.is_file():
            raise MissingArtifact(self.place, key)
        yield file

    def remove(self, key: str) -> None:
        """As ``ArtifactStore.remove``; a folder that this leaves empty goes too."""
        file = self._folder / key
        file.unlink(missing_ok=True)
        with suppress(OSError):
            file.parent.rmdir()

    def keys(self, prefix: str) -> list[str]:
        """As ``ArtifactStore.keys``."""
        return [
            Path(folder, name).relative_to(self._folder).as_posix()
            for folder, _, names in os.walk(self._folder / prefix)
            for name in names
        ]
