"""How much prepared data takes on disk at most, known before any of it is written."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Set
from pathlib import Path

import numpy as np
import pyarrow.parquet

from tuner.data.bad_files import printable
from tuner.data.class_folders import IMAGES, TEXTS, scan
from tuner.data.npz_source import arrays_of
from tuner.data.table_file import CsvTable, ParquetTable
from tuner.data.table_scan import wanted_columns
from tuner.data.table_source import tables_of
from tuner.errors import DataError
from tuner.spec.data import Csv, DataSpec, ImageDirectory, Npz, TextDirectory

# Of a number, and of the place of a text, a label or a row.
_WORD = 8
# A row of two empty cells has two bytes: it becomes two words, and a word for its place.
_WORST_GROWTH = 12
_PIECE = 2**20
_GIB = 2**30


def check_prepared_size(data: DataSpec, most: int, whose: str) -> None:
    """Refuses data that would take more than ``most`` bytes.

    Args:
        whose: bound that is, in words.

    Raises:
        DataError: it would, or its files cannot be read.
    """
    check_bytes(data, prepared_bytes(data, most), most, whose)


def check_bytes(data: DataSpec, taken: int | None, most: int, whose: str) -> None:
    """As ``check_prepared_size``, of data of which ``prepared_bytes`` is known. Raises DataError."""
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
        return _table_bytes(data, most)
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


def _table_bytes(data: Csv, most: int) -> int:
    tables, inputs = tables_of(data)
    wanted = set(wanted_columns(data, inputs))
    parquet = sum(_parquet_bytes(each.path, wanted) for each in tables.values() if isinstance(each, ParquetTable))
    texts = [each.path for each in tables.values() if isinstance(each, CsvTable)]
    if not any(map(_is_packed, texts)):
        bound = parquet + sum(_WORST_GROWTH * _size(path) for path in texts)
        if bound <= most:
            return bound
    # Only now is it worth reading them.
    return parquet + sum(_csv_bytes(path, data.delimiter, most) for path in texts)


def _parquet_bytes(path: Path, wanted: Set[str]) -> int:
    """As the file's metadata has it; a text that its dictionary has once counts once."""
    try:
        about = pyarrow.parquet.read_metadata(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{printable(os.fspath(path))} is damaged: {error}") from None
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(about.num_columns)]
    texts = (each for each in chunks if each.physical_type == "BYTE_ARRAY" and each.path_in_schema in wanted)
    return _WORD * about.num_rows * (len(wanted) + 1) + sum(each.total_uncompressed_size for each in texts)


def _csv_bytes(path: Path, delimiter: str, most: int) -> int:
    """A word for each cell and each row, and the text itself; as far as ``most``."""
    found = 0
    separator = delimiter.encode()
    try:
        with gzip.open(path, "rb") if _is_packed(path) else path.open("rb") as file:
            while found <= most and (piece := file.read(_PIECE)):
                found += len(piece) + _WORD * (piece.count(separator) + 2 * piece.count(b"\n"))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{printable(os.fspath(path))} is damaged: {error}") from None
    return found


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
