"""The first reading of tables: labels, weights and splits of all rows, types of columns, unusable rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.data.bad_files import printable
from tuner.data.bad_rows import BadRows
from tuner.data.cells import Mask, bare, blank, decimal_comma, decoded
from tuner.data.column_types import ColumnProfile, check_points, missing_column
from tuner.data.splits import TRAIN, VALIDATION, Indices
from tuner.data.table_file import Rows, TableFile
from tuner.data.targets import LabelColumn, Target, example_weights
from tuner.errors import DataError, data_at
from tuner.spec.data import ColumnType, Csv

_LABELS = "data.label_column"
_NO_ROW = "No row has as many values as the header: is there a delimiter at the end of every row, or of the header?"


@dataclass(frozen=True)
class Column:
    """An input column and how it is kept; ``many`` categories are kept one by one."""

    name: str
    type: ColumnType
    many: bool = False


@dataclass(frozen=True, eq=False)
class TableScan:
    """What is known after reading everything once. Rows of all files are numbered through in the files' order.

    Attributes:
        columns: the inputs, in the order of the first file.
        target: None without labels.
        weights: shape (rows,), float32, or None.
        given: by split, the usable rows that the data itself puts there.
        files: by source, its rows: start and end.
        places: shape (rows,), int64: of each row in its file.
        bad: the first rows left out; ``left_out`` is how many there are.
    """

    columns: tuple[Column, ...]
    target: Target | None
    weights: npt.NDArray[np.float32] | None
    given: dict[str, Indices]
    files: dict[str, tuple[int, int]]
    places: Indices
    bad: BadRows
    left_out: int

    def where(self, row: int, tables: Mapping[str, TableFile]) -> str:
        """A row as errors name it."""
        source = next(name for name, (start, end) in self.files.items() if start <= row < end)
        return f"row {self.places[row] + 1} of {printable(str(tables[source].path))}"


def used_columns(data: Csv, table: TableFile) -> tuple[str, ...]:
    """The input columns, in the file's order.

    Raises:
        DataError: a column that the spec names is missing, or none is left.
    """
    keys = ("text_column", "label_column", "weight_column", "split_column")
    named = [(key, getattr(data, key)) for key in keys if getattr(data, key) is not None]
    named += [(f"columns.{name}", name) for name in data.columns] + [("ignore", name) for name in data.ignore]
    for key, name in named:
        if name not in table.names:
            raise missing_column(name, key, table.names, str(table.path))
    if data.text_column is not None:
        return (data.text_column,)
    other = {data.label_column, data.weight_column, data.split_column, *data.ignore}
    inputs = tuple(name for name in table.names if name not in other)
    if not inputs:
        raise DataError(f"{printable(str(table.path))} has no column left that could be an input", key="data.ignore")
    if "" in inputs:
        raise DataError(
            f"{printable(str(table.path))}: column {table.names.index('') + 1} has no name: name it, or set "
            'data.ignore: [""]',
            key="data.ignore",
        )
    return inputs


def check_columns(table: TableFile, wanted: Sequence[str], train: TableFile) -> None:
    """Raises DataError: the table lacks a column that the training table has, or knows it as another type."""
    missing = [name for name in wanted if name not in table.names]
    if missing:
        raise DataError(
            f"{printable(str(table.path))} has no column {missing[0]!r}, which {printable(str(train.path))} has; "
            f"it has {', '.join(map(repr, table.names[:30]))}"
        )


def scan(data: Csv, tables: Mapping[str, TableFile], inputs: Sequence[str]) -> TableScan:
    """Reads every file once.

    Raises:
        DataError: the data cannot be used.
    """
    return _Scanner(data, tables, inputs).run()


class _Scanner:
    def __init__(self, data: Csv, tables: Mapping[str, TableFile], inputs: Sequence[str]) -> None:
        self._data, self._tables, self._inputs = data, tables, inputs
        floats = next(iter(tables.values())).floats
        self._profiles = {
            name: ColumnProfile(name, data.columns.get(name), name in floats, data.delimiter)
            for name in self._profiled(inputs)
        }
        shown = f"the label column {data.label_column!r}"
        self._commas = decimal_comma(data.delimiter)
        self._labels = (
            LabelColumn(shown, data.label_separator, data.task, self._commas) if data.label_column is not None else None
        )
        self._split_places = {value.strip(): place for place, value in enumerate(data.split_values.values())}
        self._bad = BadRows(tuple(tables))
        self._ragged = 0
        self._places: list[Indices] = []
        self._usable: list[Mask] = []
        self._weights: list[npt.NDArray[np.float32]] = []
        self._splits: list[npt.NDArray[np.int8]] = []

    def _profiled(self, inputs: Sequence[str]) -> Sequence[str]:
        return inputs if self._data.text_column is None else ()

    def run(self) -> TableScan:
        files: dict[str, tuple[int, int]] = {}
        done = 0
        for source, table in self._tables.items():
            count = 0
            with data_at(self._data.key_of(source)):
                for rows in table.rows(wanted_columns(self._data, self._inputs), self._on_ragged(source, table)):
                    self._add(source, table, rows)
                    count += len(rows.places)
                if not count and not self._ragged:
                    raise DataError(f"{printable(str(table.path))} has a header and no rows")
            files[source] = (done, done + count)
            done += count
        return self._result(files)

    def _on_ragged(self, source: str, table: TableFile) -> Callable[[int, int], None]:
        def note(place: int, count: int) -> None:
            self._ragged += 1
            reason = f"{count} value{'s' if count != 1 else ''}, the header has {len(table.names)} columns"
            self._bad.add(source, [place], reason)

        return note

    def _add(self, source: str, table: TableFile, rows: Rows) -> None:
        usable = np.ones(len(rows.places), dtype=np.bool_)

        def refuse(which: Mask, reason: str) -> None:
            if which.any():
                self._bad.add(source, rows.places[which], reason)
                np.logical_and(usable, ~which, out=usable)

        strings: dict[str, Any] = {}
        for name, cells in rows.cells.items():
            strings[name], undecodable = decoded(cells)
            if undecodable is not None:
                refuse(undecodable, f"column {name!r} is not UTF-8 text")
        if self._data.text_column is not None:
            refuse(blank(strings[self._data.text_column]), f"the text in column {self._data.text_column!r} is empty")
        for name, profile in self._profiles.items():
            profile.add(strings[name], rows.places, str(table.path))
        self._add_others(strings, refuse)
        self._places.append(rows.places)
        self._usable.append(usable)

    def _add_others(self, strings: Mapping[str, Any], refuse: Callable[[Mask, str], None]) -> None:
        data = self._data
        if self._labels is not None:
            with data_at(_LABELS):
                self._labels.add(strings[data.label_column or ""])
        if data.weight_column is not None:
            weights, bad = example_weights(strings[data.weight_column], self._commas)
            refuse(bad, f"the weight in column {data.weight_column!r} is not a number of at least 0")
            self._weights.append(weights)
        if data.split_column is not None:
            codes = self._split_codes(strings[data.split_column])
            known = ", ".join(map(repr, self._split_places))
            refuse(codes < 0, f"column {data.split_column!r} is none of data.split_values: {known}")
            self._splits.append(codes)

    def _split_codes(self, strings: Any) -> npt.NDArray[np.int8]:
        """The place in ``split_values`` of each row's split; -1 for others."""
        encoded = bare(strings).dictionary_encode()
        codes = [self._split_places.get(value, -1) for value in encoded.dictionary.to_pylist()]
        return np.array(codes, dtype=np.int8)[encoded.indices.to_numpy(zero_copy_only=False)]

    def _result(self, files: dict[str, tuple[int, int]]) -> TableScan:
        shown = ", ".join(str(table.path) for table in self._tables.values())
        if not sum(map(len, self._places)):
            raise self._bad.error(self._ragged, shown, _NO_ROW)
        places, usable = np.concatenate(self._places), np.concatenate(self._usable)
        target = self._target(files, places, usable)
        left_out = self._ragged + int((~usable).sum())
        if left_out and self._data.on_error == "fail":
            raise self._bad.error(left_out, shown)
        return TableScan(
            columns=self._columns(),
            target=target,
            weights=np.concatenate(self._weights) if self._weights else None,
            given=self._given(files, usable),
            files=files,
            places=places,
            bad=self._bad,
            left_out=left_out,
        )

    def _target(self, files: Mapping[str, tuple[int, int]], places: Indices, usable: Mask) -> Target | None:
        if self._labels is None:
            return None
        with data_at(_LABELS):
            target = self._labels.target()
        for source, (start, end) in files.items():
            self._bad.add(source, places[start:end][target.unusable[start:end]], target.reason)
        np.logical_and(usable, ~target.unusable, out=usable)
        return target

    def _columns(self) -> tuple[Column, ...]:
        if self._data.text_column is not None:
            return (Column("", "text"),)
        types = {name: profile.type() for name, profile in self._profiles.items()}
        check_points(self._profiles, types)
        return tuple(Column(name, types[name], profile.many) for name, profile in self._profiles.items())

    def _given(self, files: Mapping[str, tuple[int, int]], usable: Mask) -> dict[str, Indices]:
        if self._data.split_column is None:
            return {
                source: (np.flatnonzero(usable[start:end]) + start).astype(np.int64)
                for source, (start, end) in files.items()
            }
        splits = np.concatenate(self._splits)
        given = {
            str(name): np.flatnonzero(usable & (splits == place)).astype(np.int64)
            for place, name in enumerate(self._data.split_values)
        }
        for name in (TRAIN, VALIDATION):
            if name == TRAIN or name in given:
                self._check_given(name, given)
        return {name: rows for name, rows in given.items() if len(rows)}

    def _check_given(self, name: str, given: Mapping[str, Indices]) -> None:
        if len(given.get(name, ())):
            return
        values = {str(key): value for key, value in self._data.split_values.items()}
        held = ", ".join(repr(values[found]) for found, rows in given.items() if len(rows))
        raise DataError(
            f"no usable row has the value {values.get(name, name)!r} in the split column {self._data.split_column!r}, "
            f"which would make it {name} data; there are {held or 'none'}. Say which is which with data.split_values, "
            "such as {train: train, validation: test}",
            key="data.split_values",
        )


def wanted_columns(data: Csv, inputs: Sequence[str]) -> list[str]:
    """All columns that are read at first, each once."""
    others = (data.label_column, data.weight_column, data.split_column)
    return [*inputs, *(name for name in others if name is not None)]
