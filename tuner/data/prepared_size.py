"""How much prepared data takes on disk at most, known before any of it is written."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from tuner.data.bad_files import printable
from tuner.data.class_folders import IMAGES, TEXTS, scan
from tuner.data.npz_source import arrays_of
from tuner.errors import DataError
from tuner.spec.data import Csv, DataSpec, ImageDirectory, Npz, TextDirectory

# A cell is a digit and a comma at least, and becomes 8 bytes at most.
_TABLE_GROWTH = 4
_PIECE = 2**20
_GIB = 2**30


def check_prepared_size(data: DataSpec, most: int, whose: str) -> None:
    """Refuses data that would take more than ``most`` bytes.

    Args:
        whose: bound that is, in words.

    Raises:
        DataError: it would, or its files cannot be read.
    """
    taken = prepared_bytes(data, most)
    if taken is None or taken <= most:
        return
    smaller = "choose a smaller data.image_size" if isinstance(data, ImageDirectory) else "use less of it"
    key = "data.image_size" if isinstance(data, ImageDirectory) else data.key_of("train")
    raise DataError(
        f"the prepared data would take {taken / _GIB:.3g} GiB or more, and {whose} {most / _GIB:.3g} GiB: {smaller}",
        key=key,
    )


def prepared_bytes(data: DataSpec, most: int) -> int | None:
    """The most that the columns of the data may take; None where only reading it can tell.

    Args:
        most: what is more than that need not be counted to its end.

    Raises:
        DataError: its files cannot be read.
    """
    if isinstance(data, ImageDirectory):
        images = sum(map(len, scan(data, IMAGES).sources.values()))
        return images * data.image_size[0] * data.image_size[1] * data.channels
    if isinstance(data, TextDirectory):
        return sum(_size(Path(each.absolute)) for files in scan(data, TEXTS).sources.values() for each in files)
    if isinstance(data, Csv):
        return sum(_TABLE_GROWTH * _unpacked(path, most) for path in data.places.values())
    if isinstance(data, Npz):
        return sum(
            len(values) * int(np.prod(values.shape, dtype=np.int64)) * values.dtype.itemsize
            for examples in arrays_of(data).values()
            for values in (*examples.inputs.values(), *examples.targets.values(), *examples.weights.values())
        )
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Reading it says why.
        return 0


def _unpacked(path: Path, most: int) -> int:
    """The size of a table's text, as far as ``most``."""
    if path.suffix.lower() != ".gz":
        return _size(path)
    found = 0
    try:
        with gzip.open(path, "rb") as file:
            while found <= most and (piece := file.read(_PIECE)):
                found += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{printable(os.fspath(path))} is damaged: {error}") from None
    return found
