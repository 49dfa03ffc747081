""".npy files that are written piece by piece: rows in any order by several threads, or a growing number of them."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt


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

    Args:
        path: the file to create.
        dtype: of the array.
        shape: of a row.

    Raises:
        OSError: the file cannot be created; ``append`` and ``close`` raise it when the disk is full.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._dtype, self._shape = dtype, shape
        self._rows = 0
        self._file = open(path, "wb")  # noqa: SIM115
        self._write_header()
        self._header_bytes = self._file.tell()

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Adds rows, (m, *shape)."""
        if rows.shape[1:] != self._shape:
            raise ValueError(f"a row has the shape {rows.shape[1:]}, not {self._shape}")
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._rows += len(rows)

    def close(self, whole: bool) -> None:
        """Ends the file; ``whole`` says whether it is to be read by anyone."""
        try:
            if whole:
                self._file.seek(0)
                self._write_header()
                if self._file.tell() != self._header_bytes:
                    raise ValueError("the header has grown")
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _write_header(self) -> None:
        # NumPy leaves room in the header for a first dimension that grows.
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
