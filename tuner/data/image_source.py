"""Folders of images as a data source: decoded, resized and split, with or without classes."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path

from tuner.data.fingerprint import contents, fingerprint
from tuner.data.image_files import ImageFile, scan, source_roots
from tuner.data.prepared import LAYOUT, FileOrigin, PreparedData, Split
from tuner.data.source import Progress
from tuner.data.splits import TRAIN
from tuner.spec import ImageDirectory


class ImageSource:
    """Every call reads and hashes all files, so a changed file is never overlooked.

    Raises:
        DataError: the folders or files cannot be used.
    """

    def __init__(self, data: ImageDirectory) -> None:
        self._data = data
        self._found = scan(data)
        by_source = {source: contents(files) for source, files in self._found.sources.items()}
        self._unreadable: dict[ImageFile, str] = {
            file: content.problem
            for source, files in self._found.sources.items()
            for file, content in zip(files, by_source[source], strict=True)
            if content.problem
        }
        self.fingerprint = fingerprint(data, self._found, by_source)
        # Another TensorFlow may decode JPEG or resize a little differently.
        version = importlib.metadata.version("tensorflow")
        self.folder_name = f"images-{self.fingerprint[:32]}-layout-{LAYOUT}-tensorflow-{version}"

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """As ``DataSource.write``. Runs TensorFlow in this process."""
        # TensorFlow is loaded only when there is something to decode.
        from tuner.data.build import facts_of, write_arrays

        inputs, targets = facts_of(self._data, self._found)
        splits, bad = write_arrays(self._data, self._found, self._unreadable, folder, progress)
        return PreparedData(
            folder=folder,
            fingerprint=self.fingerprint,
            kind=self._data.kind,
            inputs=inputs,
            targets=targets,
            splits=splits,
            bad_files=(*self._found.rejected, *bad),
        )

    def as_found(self, prepared: PreparedData) -> PreparedData:
        """As ``DataSource.as_found``: the folders, and the files of unsupported types."""
        roots = source_roots(self._data)
        splits = {name: _at(split, roots.get(name, roots[TRAIN])) for name, split in prepared.splits.items()}
        images = {file.shown for files in self._found.sources.values() for file in files}
        undecodable = (bad for bad in prepared.bad_files if bad.file in images)
        bad_files = (*self._found.rejected, *undecodable)
        moved = any(split.origin != prepared.splits[name].origin for name, split in splits.items())
        if not moved and bad_files == prepared.bad_files:
            return prepared
        return replace(prepared, splits=splits, bad_files=bad_files)


def _at(split: Split, root: str) -> Split:
    assert isinstance(split.origin, FileOrigin)
    return replace(split, origin=FileOrigin(root, split.origin.files))
