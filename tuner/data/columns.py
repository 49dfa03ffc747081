"""Columns of examples as they lie on disk: memory-mapped, so that data larger than memory can be trained on.

A column is one or two ``.npy`` files that begin with its stem, such as ``train-x0``. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tuner.data.array_file import GrowingArray, read_array

ColumnKind = Literal["array", "strings", "categories"]


@dataclass(frozen=True, eq=False)
class ArrayColumn:
    """Attributes: ``values``: shape (n, ...), read-only, memory-mapped unless they are few."""

    values: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class StringColumn:
    """Strings one behind the other.

    Attributes:
        content: all of them, uint8 (bytes,).
        offsets: shape (n + 1,), int64: string ``i`` is ``content[offsets[i]:offsets[i + 1]]``.
    """

    content: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        """The strings at those places, bytes, shape of ``indices``."""
        starts, ends = self.offsets[indices], self.offsets[indices + 1]
        found = [self.content[start:end].tobytes() for start, end in zip(starts, ends, strict=True)]
        return np.array(found, dtype=object)


@dataclass(frozen=True, eq=False)
class CategoryColumn:
    """Strings of which many are equal.

    Attributes:
        codes: shape (n,), int32: indices into ``vocabulary``.
        vocabulary: the different strings.
    """

    codes: npt.NDArray[np.int32]
    vocabulary: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)


Column = ArrayColumn | StringColumn | CategoryColumn


def open_column(folder: Path, stem: str, kind: ColumnKind) -> Column:
    """Raises OSError or ValueError: it is missing or damaged."""
    values = read_array(folder / f"{stem}.npy")
    if kind == "array":
        return ArrayColumn(values)
    if kind == "categories":
        vocabulary = tuple(json.loads(_vocabulary_file(folder, stem).read_text(encoding="utf-8")))
        return CategoryColumn(values, vocabulary)
    offsets = read_array(folder / f"{stem}-offsets.npy")
    if int(offsets[-1]) != len(values):
        raise ValueError(f"{stem} has {len(values)} bytes, its offsets end at {int(offsets[-1])}")
    return StringColumn(values, offsets)


def kind_of(column: Column) -> ColumnKind:
    if isinstance(column, ArrayColumn):
        return "array"
    return "strings" if isinstance(column, StringColumn) else "categories"


class ArrayWriter:
    """Writes an ``ArrayColumn`` piece by piece. A full disk is an OSError."""

    def __init__(self, folder: Path, stem: str, dtype: npt.DTypeLike, shape: Sequence[int] = ()) -> None:
        self._values = GrowingArray(folder / f"{stem}.npy", np.dtype(dtype), tuple(shape))

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._values.close(whole=kind is None)

    def write(self, values: npt.NDArray[Any]) -> None:
        """Adds rows, (m, *shape)."""
        self._values.append(values)


class StringWriter:
    """Writes a ``StringColumn`` piece by piece."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._content = GrowingArray(folder / f"{stem}.npy", np.dtype(np.uint8), ())
        self._offsets = GrowingArray(folder / f"{stem}-offsets.npy", np.dtype(np.int64), ())
        self._offsets.append(np.zeros(1, dtype=np.int64))
        self._end = 0

    def __enter__(self) -> StringWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._content.close(whole=kind is None)
        self._offsets.close(whole=kind is None)

    def write(self, strings: Iterable[bytes]) -> None:
        """Adds strings."""
        pieces = list(strings)
        ends = self._end + np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        self._content.append(np.frombuffer(b"".join(pieces), dtype=np.uint8))
        self._offsets.append(ends)
        self._end = int(ends[-1]) if len(ends) else self._end


class CategoryWriter:
    """Writes a ``CategoryColumn`` piece by piece; the different strings are held in memory."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._codes = GrowingArray(folder / f"{stem}.npy", np.dtype(np.int32), ())
        self._file = _vocabulary_file(folder, stem)
        self._vocabulary: dict[str, int] = {}

    def __enter__(self) -> CategoryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._codes.close(whole=kind is None)
        if kind is None:
            with self._file.open("w", encoding="utf-8") as file:
                json.dump(list(self._vocabulary), file)
                file.flush()
                os.fsync(file.fileno())

    def write(self, strings: Iterable[str]) -> None:
        """Adds strings."""
        known = self._vocabulary
        codes = [known.setdefault(string, len(known)) for string in strings]
        self._codes.append(np.array(codes, dtype=np.int32))

    def write_encoded(self, vocabulary: Iterable[str], codes: npt.NDArray[np.integer[Any]]) -> None:
        """Adds the strings ``vocabulary[code]``."""
        known = self._vocabulary
        places = np.array([known.setdefault(string, len(known)) for string in vocabulary], dtype=np.int32)
        self._codes.append(places[codes])


def _vocabulary_file(folder: Path, stem: str) -> Path:
    return folder / f"{stem}-vocabulary.json"
