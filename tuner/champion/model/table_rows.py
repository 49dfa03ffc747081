"""Rows of CSV and Parquet files as the tensors that an exported model takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow

from tuner.champion.records.champion_json import InputTensor, TensorInput
from tuner.data.bad_files import printable
from tuner.data.cells import bare, decimal_comma, decoded, integers, numbers
from tuner.data.columns import StringWriter
from tuner.data.table_file import Rows, open_table
from tuner.errors import DataError

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, eq=False)
class RowTensors:
    """Consecutive rows, those with the wrong number of cells left out.

    Attributes:
        places: shape (n,), int64: from 0, the header not counted.
        values: by tensor, n values each: an array, or a list of bytes.
        problems: what is wrong with a row, by its index here.
    """

    places: npt.NDArray[np.int64]
    values: dict[str, Any]
    problems: dict[int, str] = field(default_factory=dict)


def is_csv(file: Path) -> bool:
    """Everything that is not Parquet by its name."""
    return file.suffix.lower() not in PARQUET


def read_rows(file: Path, takes: TensorInput, on_ragged: Callable[[int, int], None]) -> Iterator[RowTensors]:
    """All rows of a file.

    Args:
        on_ragged: is told the place of a row with another number of cells than the header has, and how many.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    table = open_table(file, takes.delimiter)
    names = [takes.column or each.name for each in takes.tensors]
    if missing := [name for name in names if name not in table.names]:
        listed = ", ".join(map(repr, missing))
        raise DataError(f"has no column {listed}; its columns are {', '.join(map(repr, table.names))}")
    for rows in table.rows(names, on_ragged):
        yield _tensors(rows, takes.tensors, names, decimal_comma(takes.delimiter))


def _tensors(rows: Rows, tensors: Sequence[InputTensor], names: Sequence[str], commas: bool) -> RowTensors:
    found = RowTensors(rows.places, {})
    for tensor, name in zip(tensors, names, strict=True):
        strings, undecodable = decoded(rows.cells[name])
        if undecodable is not None:
            for index in np.flatnonzero(undecodable).tolist():
                found.problems.setdefault(index, f"column {name!r} is not UTF-8 text")
        found.values[tensor.tensor] = _READERS.get(tensor.kind, _strings)(found, name, strings, commas)
    return found


def _strings(found: RowTensors, name: str, strings: Any, commas: bool) -> list[bytes]:
    return strings.cast(pyarrow.binary()).to_pylist()  # type: ignore[no-any-return]


def _categories(found: RowTensors, name: str, strings: Any, commas: bool) -> list[bytes]:
    return _strings(found, name, bare(strings), commas)


def _numbers(found: RowTensors, name: str, strings: Any, commas: bool) -> npt.NDArray[np.float32]:
    read = numbers(strings, commas)
    wrong = read.other | read.infinite
    _note(found, wrong, lambda index: f"column {name!r} holds {_cell(strings, index)}, not a number")
    with np.errstate(over="ignore"):
        return read.values.astype(np.float32)


def _integers(found: RowTensors, name: str, strings: Any, commas: bool) -> npt.NDArray[np.int64]:
    values, other = integers(strings)
    _note(found, other, lambda index: f"column {name!r} holds {_cell(strings, index)}, not an integer")
    return values


_READERS: dict[str, Callable[[RowTensors, str, Any, bool], Any]] = {
    "number": _numbers,
    "integer": _integers,
    "category": _categories,
}


def _note(found: RowTensors, bad: npt.NDArray[np.bool_], reason: Callable[[int], str]) -> None:
    for index in np.flatnonzero(bad):
        found.problems.setdefault(int(index), reason(int(index)))


def _cell(strings: Any, index: int) -> str:
    return repr(printable(strings[index].as_py()[:80]))


def write_rows(file: Path, takes: TensorInput, rows: npt.NDArray[np.int64], folder: Path) -> dict[str, Any]:
    """Writes the rows asked for, in that order, and describes them as columns for the clean process.

    Raises:
        DataError: the file cannot be read.
        OSError: the folder cannot be written.
    """
    order = np.argsort(rows)
    kept: dict[str, list[Any]] = {each.tensor: [] for each in takes.tensors}
    for piece in read_rows(file, takes, lambda place, count: None):
        wanted = np.flatnonzero(np.isin(piece.places, rows))
        for tensor, values in piece.values.items():
            kept[tensor].extend(values[index] for index in wanted)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return {
        each.tensor: _write(each, [kept[each.tensor][index] for index in back], folder, f"raw-{index}")
        for index, each in enumerate(takes.tensors)
    }


def _write(tensor: InputTensor, values: list[Any], folder: Path, stem: str) -> dict[str, Any]:
    if tensor.dtype == "string":
        with StringWriter(folder, stem) as writer:
            writer.write(values)
        return {"strings": str(folder / stem)}
    np.save(folder / f"{stem}.npy", np.array(values, tensor.dtype))
    return {"array": str(folder / f"{stem}.npy")}
