"""What every kind of data source provides: found and identified, then written as columns once per node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tuner.data.prepared import PreparedData
from tuner.spec import Csv, DataSpec, ImageDirectory, Npz, TextDirectory

Progress = Callable[[int, int], None]


class DataSource(Protocol):
    """Data that is found, checked as far as that needs no decoding, and identified.

    Attributes:
        fingerprint: SHA-256 (64 hexadecimal digits) of everything that the columns depend on. The same data in another
            place, or on another machine, has the same fingerprint.
        folder_name: of the folder in the node's cache; differs wherever the columns may.
    """

    fingerprint: str
    folder_name: str

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """Writes every split's columns into an empty folder; the caller writes ``meta.json`` and renames the folder.

        Args:
            progress: called with (examples done, examples in all). It may start again from 0 once.

        Raises:
            DataError: examples cannot be used, or too few are left.
            OSError: the folder cannot be written.
        """

    def as_found(self, prepared: PreparedData) -> PreparedData:
        """The prepared data with what may have changed though the columns did not: the place of the raw examples.

        Returns:
            ``prepared`` itself if nothing has changed.
        """


def look_at(data: DataSpec) -> None:
    """What is wrong with data as far as it can be seen at once: places, folders of classes, headers, names of arrays.

    Raises:
        DataError: what ``find_source`` would say of that.
    """
    if isinstance(data, ImageDirectory | TextDirectory):
        from tuner.data.class_folders import IMAGES, TEXTS, class_folders

        class_folders(data, IMAGES if isinstance(data, ImageDirectory) else TEXTS)
    elif isinstance(data, Csv):
        from tuner.data.table_source import tables_of

        tables_of(data)
    elif isinstance(data, Npz):
        from tuner.data.npz_source import arrays_of

        arrays_of(data)


def find_source(data: DataSpec, scratch: Path) -> DataSource:
    """The source that a spec's ``data`` section describes.

    Args:
        scratch: an empty folder for sources that must be read to be identified.

    Raises:
        DataError: the files are missing, or cannot be used.
    """
    if isinstance(data, ImageDirectory):
        from tuner.data.image_source import ImageSource

        return ImageSource(data)
    if isinstance(data, TextDirectory):
        from tuner.data.text_source import TextSource

        return TextSource(data)
    if isinstance(data, Csv):
        from tuner.data.table_source import TableSource

        return TableSource(data)
    if isinstance(data, Npz):
        from tuner.data.npz_source import NpzSource

        return NpzSource(data)
    from tuner.data.python_source import PythonSource

    return PythonSource(data, scratch)
