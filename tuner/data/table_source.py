"""CSV and Parquet files as a data source: read twice as a stream, once to know everything and once to write it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from tuner.data.bad_files import printable, unreadable_reason
from tuner.data.cells import decoded
from tuner.data.dividing import divided
from tuner.data.fingerprint import digest_of, file_sha256
from tuner.data.input_columns import InputWriter, facts_of, input_writer
from tuner.data.prepared import LAYOUT, InputFacts, PreparedData, RowOrigin, Split, input_stem, open_split
from tuner.data.source import Progress
from tuner.data.split_files import write_rows, write_target, write_weights
from tuner.data.splits import TRAIN, Indices
from tuner.data.table_file import Rows, TableFile, open_table
from tuner.data.table_scan import TableScan, check_columns, scan, used_columns, wanted_columns
from tuner.errors import DataError, data_at
from tuner.spec.data import Csv

_PLACES = ("path", "train", "validation", "test")
_Writers = dict[str, list[InputWriter]]


def tables_of(data: Csv) -> tuple[dict[str, TableFile], tuple[str, ...]]:
    """The files by their sources, and the input columns; of the files only headers are read.

    Raises:
        DataError: a file is missing or unreadable, or lacks a column.
    """
    tables = {}
    for source, path in data.places.items():
        with data_at(data.key_of(source)):
            tables[source] = open_table(path, data.delimiter)
    inputs = used_columns(data, tables[TRAIN])
    for source, table in tables.items():
        with data_at(data.key_of(source)):
            check_columns(table, wanted_columns(data, inputs), tables[TRAIN])
    return tables, inputs


class TableSource:
    """Every call reads and hashes the files, so a changed one is never overlooked.

    Raises:
        DataError: a file is missing or unreadable, or lacks a column.
    """

    def __init__(self, data: Csv) -> None:
        self._data = data
        self._tables, self._inputs = tables_of(data)
        # The order and the names of columns are in the files.
        settings = data.model_dump(mode="json", exclude=set(_PLACES))
        self._before = self._contents()
        self.fingerprint = digest_of(settings, [(source, sha.encode()) for source, sha in self._before.items()])
        self.folder_name = f"rows-{self.fingerprint[:32]}-layout-{LAYOUT}"

    def _contents(self) -> dict[str, str]:
        found = {}
        for source, table in self._tables.items():
            # The kind of file decides how it is read.
            suffix = "parquet" if table.path.suffix.lower() in (".parquet", ".pq") else table.path.suffix.lower()
            try:
                found[source] = f"{suffix}:{file_sha256(table.path)}"
            except OSError as error:
                said = f"{printable(str(table.path))} {unreadable_reason(error)}"
                raise DataError(said, key=self._data.key_of(source)) from None
        return found

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """As ``DataSource.write``."""
        found = scan(self._data, self._tables, self._inputs)
        assigned = divided(self._data, found.given, found.target, lambda row: found.where(row, self._tables))
        inputs = self._write_inputs(found, assigned, folder, progress)
        targets = () if found.target is None else (write_target(found.target, assigned, folder),)
        weights = write_weights(found.weights, assigned, folder)
        write_rows(found.places, assigned, folder)
        if self._contents() != self._before:
            raise DataError(f"{self._shown()} changed while it was read: launch again when it is complete")
        return PreparedData(
            folder=folder,
            fingerprint=self.fingerprint,
            kind=self._data.kind,
            inputs=inputs,
            targets=targets,
            weights=weights,
            splits={
                name: open_split(
                    folder, name, inputs, targets, RowOrigin(self._place(name), found.places[rows]), weights
                )
                for name, rows in assigned.items()
            },
            bad_files=found.bad.first,
            left_out=found.left_out,
            structure="single" if self._data.text_column is not None else "dict",
        )

    def _place(self, split: str) -> str:
        places = self._data.places
        return str(places.get(split, places[TRAIN]))

    def _shown(self) -> str:
        return ", ".join(printable(str(table.path)) for table in self._tables.values())

    def _write_inputs(
        self, found: TableScan, assigned: Mapping[str, Indices], folder: Path, progress: Progress | None
    ) -> tuple[InputFacts, ...]:
        split_of = np.full(len(found.places), -1, dtype=np.int8)
        for number, chosen in enumerate(assigned.values()):
            split_of[chosen] = number
        with ExitStack() as stack:
            writers: _Writers = {
                name: [
                    input_writer(column, folder, input_stem(name, index), stack, self._data.delimiter)
                    for index, column in enumerate(found.columns)
                ]
                for name in assigned
            }
            done = 0
            for table in self._tables.values():
                for rows in table.rows(self._inputs, lambda place, count: None):
                    end = done + len(rows.places)
                    _write_piece(rows, self._inputs, split_of[done:end], writers)
                    done = end
                    if progress is not None:
                        progress(done, max(done, len(split_of)))
        statistics = [writer.statistics() for writer in writers[TRAIN]]
        return tuple(facts_of(column, each) for column, each in zip(found.columns, statistics, strict=True))

    def as_found(self, prepared: PreparedData) -> PreparedData:
        """As ``DataSource.as_found``: the files' places."""
        splits = {name: _at(split, self._place(name)) for name, split in prepared.splits.items()}
        moved = any(split is not prepared.splits[name] for name, split in splits.items())
        return replace(prepared, splits=splits) if moved else prepared


def _at(split: Split, source: str) -> Split:
    assert isinstance(split.origin, RowOrigin)
    return split if split.origin.source == source else replace(split, origin=RowOrigin(source, split.origin.rows))


def _write_piece(rows: Rows, inputs: tuple[str, ...], split_of: Any, writers: _Writers) -> None:
    for index, name in enumerate(inputs):
        strings, _ = decoded(rows.cells[name])
        for number, columns in enumerate(writers.values()):
            chosen = strings.filter(pyarrow.array(split_of == number))
            if len(chosen):
                columns[index].write(chosen)
