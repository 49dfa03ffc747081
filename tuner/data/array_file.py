"""A .npy file whose rows are written in any order by several threads."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

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
