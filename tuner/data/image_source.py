"""Folders of images as a data source: decoded, resized and split, with or without classes."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from tuner.data.class_folders import IMAGES
from tuner.data.folder_source import FolderSource
from tuner.data.prepared import LAYOUT, PreparedData
from tuner.data.source import Progress
from tuner.processes.quick_imports import import_keras
from tuner.spec.data import ImageDirectory


class ImageSource(FolderSource):
    """As ``FolderSource``."""

    def __init__(self, data: ImageDirectory) -> None:
        settings: dict[str, Any] = {"image_size": list(data.image_size), "color_mode": data.color_mode}
        if data.labels == "none":
            settings["labels"] = "none"
        super().__init__(data, IMAGES, settings)
        self._images = data
        # Another TensorFlow may decode JPEG or resize a little differently.
        version = importlib.metadata.version("tensorflow")
        self.folder_name = f"images-{self.fingerprint[:32]}-layout-{LAYOUT}-tensorflow-{version}"

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """As ``DataSource.write``. Runs TensorFlow in this process."""
        # TensorFlow is loaded only when there is something to decode.
        import_keras()
        from tuner.data.build import facts_of, write_arrays

        inputs, targets = facts_of(self._images, self.found)
        splits, bad = write_arrays(self._images, self.found, self.problems, folder, progress)
        return PreparedData(
            folder=folder,
            fingerprint=self.fingerprint,
            kind=self.data.kind,
            inputs=inputs,
            targets=targets,
            splits=splits,
            bad_files=(*self.found.rejected, *bad),
        )
