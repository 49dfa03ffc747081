"""Data that a function of the user's returns: called once per preparation, and written down as it comes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.data.array_source import ArrayData, Examples, write_arrays
from tuner.data.columns import ArrayColumn, ArrayWriter, StringColumn, StringWriter, open_column
from tuner.data.fingerprint import digest_of
from tuner.data.npz_source import at_source
from tuner.data.prepared import LAYOUT, PreparedData
from tuner.data.returned import Batch, read, splits_of
from tuner.data.source import Progress
from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.data.structures import leaves, structure_of
from tuner.data.values import ColumnValues, as_bytes
from tuner.errors import DataError
from tuner.processes.user_code import find_object, user_frames
from tuner.spec.data import Python


class PythonSource:
    """Every call calls the function and hashes what it gives, so a changed result is never overlooked.

    Args:
        scratch: an empty folder, which receives what the function gives.

    Raises:
        DataError: the function cannot be found, raises, or gives something else than data.
    """

    def __init__(self, data: Python, scratch: Path) -> None:
        self._data = data
        self._written = _materialized(data, scratch)
        # Where the function is, what it was called with and how that was read shows in what it gave.
        settings = data.model_dump(mode="json", exclude={"source", "args", "batched"})
        parts = [(f"{split} {name}", sha) for split, each in self._written.items() for name, sha in each.identity()]
        self.fingerprint = digest_of(settings, parts)
        self.folder_name = f"python-{self.fingerprint[:32]}-layout-{LAYOUT}"

    @property
    def given(self) -> dict[str, Examples]:
        """What the function gave, by split."""
        return {split: each.examples() for split, each in self._written.items()}

    @property
    def from_arrays(self) -> bool:
        """As of ``ArrayData``."""
        return all(each.from_arrays for each in self._written.values())

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """As ``DataSource.write``."""
        train, shown = self._written[TRAIN], f"data.source {self._data.source}"
        for split, each in self._written.items():
            if each.structures != train.structures:
                raise DataError(f"{shown}: the {split} data is structured differently from the train data")
        arrays = ArrayData(
            given=self.given,
            shown=shown,
            places=dict.fromkeys((TRAIN, VALIDATION, TEST), self._data.source),
            structure=train.structures[0][0],
            target_structure=train.structures[1][0],
            weight_structure=train.structures[2][0],
            from_arrays=self.from_arrays,
            wrapped=train.wrapped,
            notes=tuple(dict.fromkeys(note for each in self._written.values() for note in each.notes)),
        )
        return write_arrays(self._data, arrays, self.fingerprint, folder, progress)

    def as_found(self, prepared: PreparedData) -> PreparedData:
        """As ``DataSource.as_found``: the function's place."""
        return at_source(prepared, self._data.source)


def _materialized(data: Python, scratch: Path) -> Mapping[str, _DataSet]:
    """What the function gives, by split, written as columns."""
    function = find_object(data.source, "data.source", DataError)
    try:
        returned, notes = splits_of(function(**data.args))
        return {split: _DataSet(split, scratch, each, data.batched, notes) for split, each in returned.items()}
    except DataError as error:
        raise DataError(f"data.source {data.source}: {error}") from None
    except Exception as error:
        text = f"data.source {data.source} failed: {type(error).__name__}: {' '.join(str(error).split())}"
        frames = user_frames(error)
        raise DataError(f"{text}\n{frames}" if frames else text) from error


class _DataSet:
    """A data set, written as columns.

    Attributes:
        structures: of x, y and the weights, with the names of their arrays.
        from_arrays, wrapped: as of ``returned.Read``.
        notes: what was decided about it.
    """

    def __init__(self, split: str, scratch: Path, data_set: Any, batched: bool | None, notes: Sequence[str]) -> None:
        self._columns: list[_Column] = []
        self.structures: tuple[tuple[str, tuple[str, ...]], ...] = ()
        found = read(data_set, batched)
        self.from_arrays, self.wrapped, self.notes = found.from_arrays, found.wrapped, (*notes, *found.notes)
        with ExitStack() as stack:
            for batch in found.batches:
                if not self._columns:
                    self.structures = tuple(structure_of(part) for part in batch)
                    self._columns = [
                        stack.enter_context(_Column(scratch, f"{split}-{index}", name))
                        for index, name in enumerate(self._names())
                    ]
                self._write(batch)
        if not self._columns:
            raise DataError(f"the {split} data is empty")

    def _names(self) -> list[str]:
        """``x-`` with the input's name, ``y-`` with the target's, ``w-``."""
        return [f"{part}-{name}" for part, (_, names) in zip("xyw", self.structures, strict=True) for name in names]

    def _write(self, batch: Batch) -> None:
        if tuple(structure_of(part) for part in batch) != self.structures:
            raise DataError("the batches of a data set are structured in different ways")
        arrays = [each for part in batch for each in leaves(part)]
        for column, array in zip(self._columns, arrays, strict=True):
            column.write(np.asarray(array))

    def identity(self) -> list[tuple[str, bytes]]:
        """The columns' names and digests."""
        return [(column.name, column.digest()) for column in self._columns]

    def examples(self) -> Examples:
        found = {column.name: ColumnValues(column.opened()) for column in self._columns}
        x = {name[2:]: values for name, values in found.items() if name.startswith("x-")}
        y = {name[2:]: values for name, values in found.items() if name.startswith("y-")}
        w = {name[2:]: values for name, values in found.items() if name.startswith("w-")}
        return Examples(x, y, w)


class _Column:
    """Writes and hashes one array of a data set."""

    def __init__(self, scratch: Path, stem: str, name: str) -> None:
        self.name = name
        self._scratch, self._stem = scratch, stem
        self._hash = hashlib.sha256()
        self._stack = ExitStack()
        self._writer: ArrayWriter | StringWriter | None = None
        self._like: tuple[str, tuple[int, ...]] | None = None

    def __enter__(self) -> _Column:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def write(self, values: npt.NDArray[Any]) -> None:
        """Adds a batch, (m, ...)."""
        values = as_bytes(values)
        if not values.shape:
            raise DataError(f"{self._shown} is a single value, not one for each example")
        like = (values.dtype.str, values.shape[1:])
        if self._like is None:
            self._open(values)
            self._like = like
            self._hash.update(repr(like).encode())
        if like != self._like:
            was = f"{self._like[1]} of {self._like[0]}"
            raise DataError(f"{self._shown} is {like[1]} of {like[0]} in one batch and {was} in another")
        if isinstance(self._writer, StringWriter):
            for text in values:
                self._hash.update(len(text).to_bytes(8, "little") + text)
            self._writer.write(values)
        elif self._writer is not None:
            self._hash.update(np.ascontiguousarray(values).tobytes())
            self._writer.write(values)

    def _open(self, values: npt.NDArray[Any]) -> None:
        if not values.dtype.hasobject:
            writer = ArrayWriter(self._scratch, self._stem, values.dtype, values.shape[1:])
            self._writer = self._stack.enter_context(writer)
        elif values.ndim == 1:
            self._writer = self._stack.enter_context(StringWriter(self._scratch, self._stem))
        else:
            raise DataError(f"{self._shown} holds strings of the shape {values.shape[1:]}: give one for each example")

    @property
    def _shown(self) -> str:
        return {"x": "an input", "y": "a target", "w": "the weights"}[self.name[0]] + f" {self.name[2:]}".rstrip()

    def digest(self) -> bytes:
        return self._hash.digest()

    def opened(self) -> ArrayColumn | StringColumn:
        text = isinstance(self._writer, StringWriter)
        column = open_column(self._scratch, self._stem, "strings" if text else "array")
        assert isinstance(column, ArrayColumn | StringColumn)
        return column
