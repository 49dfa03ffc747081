"""Values of examples as arrays give them, read piece by piece from memory, from prepared columns or from .npz files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from tuner.data.bad_files import printable
from tuner.data.columns import ArrayColumn, StringColumn
from tuner.errors import DataError

_PIECE_BYTES = 8 * 2**20
# An estimate: the length of a string is known only when it is read.
_STRING_BYTES = 1024

PICKLED = (
    "holds pickled Python objects, which are not read because they could run any code: save it as numbers, or as texts "
    "with np.array(texts, dtype=str)"
)

Array = npt.NDArray[Any]


class Values(Protocol):
    """A column of examples.

    Attributes:
        shape: of one example.
        dtype: of the numbers; ``object`` for strings.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int: ...

    def pieces(self) -> Iterator[Array]:
        """All examples in order, (m, *shape) at a time; strings as bytes, UTF-8 if they are what they should be."""


def is_text(dtype: np.dtype[Any]) -> bool:
    """Whether an array of this dtype can only be one of strings."""
    return dtype.kind in "USO"


def kept_dtype(dtype: np.dtype[Any], from_arrays: bool) -> str:
    """The dtype in which numbers reach a model: their own, but Keras makes float32 of arrays' floats."""
    return "float32" if from_arrays and dtype.kind == "f" else dtype.name


class ColumnValues:
    """A prepared column's."""

    def __init__(self, column: ArrayColumn | StringColumn) -> None:
        self._column = column
        self.shape = () if isinstance(column, StringColumn) else column.values.shape[1:]
        self.dtype = np.dtype(object) if isinstance(column, StringColumn) else column.values.dtype

    def __len__(self) -> int:
        return len(self._column)

    def pieces(self) -> Iterator[Array]:
        for rows in _ranges(len(self), _row_bytes(self.dtype, self.shape)):
            if isinstance(self._column, StringColumn):
                yield self._column.rows(np.arange(rows.start, rows.stop))
            else:
                yield np.asarray(self._column.values[rows.start : rows.stop])


class NpzValues:
    """An array of a .npz file, which is never unpickled.

    Raises:
        DataError: it is damaged, holds pickled objects, or is not an array of examples.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        with self._opened() as file:
            self._shape, self._fortran, self._raw = self._header(file)
        if not self._shape:
            raise self._error("is a single value, not one for each example")
        self.shape = tuple(self._shape[1:])
        self.dtype = np.dtype(object) if is_text(self._raw) else self._raw

    def __len__(self) -> int:
        return int(self._shape[0])

    def pieces(self) -> Iterator[Array]:
        if self._fortran and len(self._shape) > 1:
            # Its rows are scattered over all of it.
            with np.load(self._path, allow_pickle=False) as arrays:
                whole = arrays[self._name]
            yield from (as_bytes(whole[rows.start : rows.stop]) for rows in self._ranges())
            return
        try:
            with self._opened() as file:
                self._header(file)
                for rows in self._ranges():
                    yield as_bytes(self._read(file, len(rows)))
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise self._error(f"is damaged: {error}") from None

    def _ranges(self) -> Iterator[range]:
        return _ranges(len(self), self._row_bytes)

    @property
    def _row_bytes(self) -> int:
        return int(self._raw.itemsize * np.prod(self.shape, dtype=np.int64))

    def _read(self, file: IO[bytes], rows: int) -> Array:
        content = file.read(rows * self._row_bytes)
        return np.frombuffer(content, dtype=self._raw).reshape(rows, *self.shape)

    def _opened(self) -> IO[bytes]:
        return zipfile.ZipFile(self._path).open(f"{self._name}.npy")

    def _header(self, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise self._error(f"cannot be read: {error}") from None
        if dtype.hasobject:
            raise self._error(PICKLED)
        if dtype.names:
            raise self._error("is a structured array: save each of its fields as an array")
        return shape, fortran, dtype

    def _error(self, what: str) -> DataError:
        return DataError(f"{printable(str(self._path))}: the array {self._name!r} {what}")


def as_bytes(values: Array) -> Array:
    """Strings as bytes objects; anything else as it is.

    Raises:
        DataError: there are other objects than strings.
    """
    if values.dtype.kind == "S":
        return values.astype(object)
    if values.dtype.kind not in "UOT":
        return values
    encoded = np.empty(values.size, dtype=object)
    encoded[:] = [_encoded(text) for text in values.reshape(-1).tolist()]
    return encoded.reshape(values.shape)


def _encoded(text: Any) -> bytes:
    if isinstance(text, str):
        return text.encode("utf-8", errors="surrogateescape")
    if isinstance(text, bytes):
        return text
    raise DataError(f"an array of objects holds {text!r:.80}: give numbers of one dtype, or strings")


def _row_bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return _STRING_BYTES if dtype.hasobject else int(dtype.itemsize * np.prod(shape, dtype=np.int64))


def _ranges(length: int, row_bytes: int) -> Iterator[range]:
    step = max(1, _PIECE_BYTES // max(1, row_bytes))
    for start in range(0, length, step):
        yield range(start, min(start + step, length))
