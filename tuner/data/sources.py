"""Which source reads what a spec's ``data`` section describes."""

from __future__ import annotations

from pathlib import Path

from tuner.data.source import DataSource
from tuner.spec.data import Csv, DataSpec, ImageDirectory, Npz, TextDirectory


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
