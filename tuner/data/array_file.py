""".npy files that are written piece by piece: rows in any order by several threads, or a growing number of them."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

# A smaller file is read: a mapping holds its file open, and a wide table has many.
_MAPPED_BYTES = 16 * 2**10
# What a process with TensorFlow has open beside the data.
_OTHER_FILES = 512


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of a .npy file, read-only, memory-mapped unless it is small.

    Raises:
        OSError, ValueError, EOFError: it is missing or damaged.
    """
    if path.stat().st_size > _MAPPED_BYTES:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    values: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    values.flags.writeable = False
    return values


def allow_open_files(count: int) -> None:
    """Raises this process's limit of open files, as far as the system lets it, so that it can open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        reached = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, reached), hard))


class RowWriter:
    """Writes the rows of a uint8 array to a .npy file.

    Space is reserved at the start and rows go through ``pwrite``, so that a full disk is an
    OSError; through a memory map it would be a bus error that ends the process.

    Args:
        path: the file to create.
        shape: the whole array's shape, rows first.

    Raises:
        OSError: there is no room, or the file cannot be created.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._row_shape = shape[1:]
        self._row_bytes = int(np.prod(self._row_shape))
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        try:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(self._file, header)
            self._start = self._file.tell()
            os.posix_fallocate(self._file.fileno(), 0, self._start + shape[0] * self._row_bytes)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def write(self, index: int, row: npt.NDArray[np.uint8]) -> None:
        """Writes one row; several threads may write different rows at once."""
        if row.shape != self._row_shape or row.dtype != np.uint8:
            raise ValueError(f"a row is {row.dtype} {row.shape}, not uint8 {self._row_shape}")
        content = memoryview(row.tobytes())
        position = self._start + index * self._row_bytes
        while content:
            written = os.pwrite(self._file.fileno(), content, position)
            content, position = content[written:], position + written


class GrowingArray:
    """Writes a .npy file whose number of rows is known at its end only.

    The file is open only while it is written to: a table of thousands of columns is written to as many of them in turn.

    Args:
        path: the file to create.
        dtype: of the array.
        shape: of a row.

    Raises:
        OSError: the file cannot be created; ``append`` and ``close`` raise it when the disk is full.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._path, self._dtype, self._shape = path, dtype, shape
        self._rows = 0
        with open(path, "wb") as file:
            self._write_header(file)
            self._header_bytes = file.tell()

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Adds rows, (m, *shape)."""
        if rows.shape[1:] != self._shape:
            raise ValueError(f"a row has the shape {rows.shape[1:]}, not {self._shape}")
        with open(self._path, "ab", buffering=0) as file:
            content = memoryview(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
            while content:
                content = content[file.write(content) :]
        self._rows += len(rows)

    def close(self, whole: bool) -> None:
        """Ends the file; ``whole`` says whether it is to be read by anyone."""
        if not whole:
            return
        with open(self._path, "r+b") as file:
            self._write_header(file)
            if file.tell() != self._header_bytes:
                raise ValueError("the header has grown")
            file.flush()
            os.fsync(file.fileno())

    def _write_header(self, file: IO[bytes]) -> None:
        # NumPy leaves room in the header for a first dimension that grows.
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, *self._shape),
        }
        np.lib.format.write_array_header_1_0(file, header)
