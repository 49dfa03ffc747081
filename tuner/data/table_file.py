"""Table files read as a stream: CSV, also compressed with gzip, and Parquet. Every cell comes as its bytes."""

from __future__ import annotations

import codecs
import csv
import gzip
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from tuner.data.bad_files import printable, unreadable_reason
from tuner.errors import DataError

# A CSV row cannot be longer than a block, and some dozens of blocks are in memory at a time: larger ones are for files
# with long rows only.
_BLOCKS = (2**20, 8 * 2**20, 64 * 2**20)
_TOO_LONG = "straddling"
_NOTHING = "Empty CSV file"
_PARQUET_ROWS = 8192
# Read at a time to find a header's end.
_HEADER_BYTES = 2**16

# Is told the places of rows, from 0, that have another number of values than there are columns, and how many.
OnRagged = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Rows:
    """Consecutive rows.

    Attributes:
        places: shape (n,), int64: of each row in the file, from 0, the header not counted.
        cells: by column, binary (n,) without nulls; what is missing is empty.
    """

    places: npt.NDArray[np.int64]
    cells: dict[str, Any]


class TableFile(Protocol):
    """A file of rows.

    Attributes:
        names: of the columns, in the file's order.
        floats: the columns that the file itself declares to be floating-point numbers.
    """

    path: Path
    names: tuple[str, ...]
    floats: frozenset[str]

    def rows(self, names: Sequence[str], on_ragged: OnRagged) -> Iterator[Rows]:
        """The columns of that names, all rows in the file's order.

        Raises:
            DataError: the file cannot be read.
        """


def open_table(path: Path, delimiter: str) -> TableFile:
    """A file whose name ends in .parquet is Parquet; every other one is CSV.

    Raises:
        DataError: it is missing, empty, unreadable, or has two columns of one name.
    """
    with _readable(path):
        table = ParquetTable(path) if path.suffix.lower() in (".parquet", ".pq") else CsvTable(path, delimiter)
    twice = sorted(name for name, count in Counter(table.names).items() if count > 1)
    if twice:
        named = ", ".join(map(repr, twice))
        raise DataError(f"{printable(str(path))} has more than one column {named}: give each column a name of its own")
    return table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    shown = printable(str(path))
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{shown} does not exist: check the path in the spec's data") from None
    except IsADirectoryError:
        raise DataError(f"{shown} is a folder, not a file") from None
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{shown} cannot be read: {_said(error)}") from None
    except (OSError, EOFError) as error:
        reason = unreadable_reason(error) if isinstance(error, OSError) and error.strerror else f"is damaged: {error}"
        raise DataError(f"{shown} {reason}") from None


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    if _TOO_LONG in text:
        return f"a row is longer than {_BLOCKS[-1] // 2**20} MiB; is a quotation mark not closed?"
    return text


class CsvTable:
    """CSV in UTF-8, with or without a byte order mark; values may be quoted and then hold line ends.

    Lines of white space alone are no rows, before the header and behind it.
    """

    floats: frozenset[str] = frozenset()

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path = path
        self._delimiter = delimiter
        self._compression = "gzip" if path.suffix.lower() == ".gz" else None
        self.names, self._start = self._header()

    def _header(self) -> tuple[tuple[str, ...], int]:
        """The names, and how many bytes the file has before its rows, uncompressed."""
        shown = printable(str(self.path))
        opener: Any = gzip.open if self._compression else open
        with opener(self.path, "rb") as file:
            record, start = _first_record(file, self._delimiter.encode())
        if not record:
            raise DataError(f"{shown} is empty: it needs a header and rows")
        try:
            text = record.decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{shown}: the header is not UTF-8 text; save the file as UTF-8") from None
        try:
            (found,) = csv.reader([text], delimiter=self._delimiter)
        except (csv.Error, ValueError) as error:
            raise DataError(f"{shown}: the header cannot be read: {error}") from None
        return tuple(found), start

    def rows(self, names: Sequence[str], on_ragged: OnRagged) -> Iterator[Rows]:
        done, last = 0, -1

        def once(place: int, count: int) -> None:
            nonlocal last
            if place > last:
                last = place
                on_ragged(place, count)

        with _readable(self.path):
            for block in _BLOCKS:
                try:
                    for piece in self._read(names, block, done, once):
                        yield piece
                        done += len(piece.places)
                    return
                except pyarrow.ArrowInvalid as error:
                    if _TOO_LONG not in str(error) or block == _BLOCKS[-1]:
                        raise

    def _read(self, names: Sequence[str], block: int, skipped: int, on_ragged: OnRagged) -> Iterator[Rows]:
        """All rows but the first ``skipped`` good ones, with blocks of so many bytes."""
        # Names of our own: two columns of the file may have the same.
        keys = [str(place) for place in range(len(self.names))]
        wanted = [keys[self.names.index(name)] for name in names]
        ragged = _Ragged()
        blank = 0

        def leave_out(row: Any) -> str:
            nonlocal blank
            if row.actual_columns == 1 and not row.text.strip():
                blank += 1
                return "skip"
            # Arrow counts from 1, empty lines not.
            place = row.number - 1 - blank
            ragged.places.append(place)
            on_ragged(place, row.actual_columns)
            return "skip"

        source = pyarrow.input_stream(str(self.path), compression=self._compression)
        source.read(self._start)
        reader = _opened(
            source,
            pyarrow.csv.ReadOptions(use_threads=False, block_size=block, column_names=keys),
            pyarrow.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=leave_out),
            pyarrow.csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(keys, pyarrow.binary()),
                strings_can_be_null=False,
                include_columns=wanted,
            ),
        )
        if reader is None:
            return
        done = 0
        for batch in reader:
            fresh = min(batch.num_rows, max(0, skipped - done))
            places = ragged.places_of(done, batch.num_rows)
            done += batch.num_rows
            if fresh < batch.num_rows:
                cells = {name: batch.column(key)[fresh:] for name, key in zip(names, wanted, strict=True)}
                yield Rows(places[fresh:], cells)


def _first_record(file: IO[bytes], delimiter: bytes) -> tuple[bytes, int]:
    """The first line that is not blank, or lines where a quoted value holds their ends; no byte order mark.

    Returns:
        It without its line end, empty where there is none; and where the next one begins.
    """
    start = len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
    file.seek(start)
    content, found = b"", None
    while found is None:
        piece = file.read(_HEADER_BYTES)
        content += piece
        found = _record_in(content, delimiter, whole=not piece)
    first, last, following = found
    return content[first:last], start + following


def _record_in(content: bytes, delimiter: bytes, *, whole: bool) -> tuple[int, int, int] | None:
    """Where the first line that is not blank begins and ends, and the next one begins; None if more must be read."""
    first, quoted, closed, fresh = 0, False, False, True
    for place in range(len(content)):
        letter = content[place : place + 1]
        if letter == b'"' and (quoted or closed or fresh):
            # A quote right behind a closing one is part of the value.
            quoted = not quoted
            closed, fresh = not quoted, False
            continue
        closed, fresh = False, letter in (delimiter, b"\r", b"\n")
        if letter not in (b"\r", b"\n") or quoted:
            continue
        if letter == b"\r" and place + 1 == len(content) and not whole:
            return None
        following = place + (2 if content[place : place + 2] == b"\r\n" else 1)
        if content[first:place].strip():
            return first, place, following
        first = following
    last = len(content) if content[first:].strip() else first
    return (first, last, len(content)) if whole else None


def _opened(source: Any, *options: Any) -> Any:
    """Arrow's reader; None where there is nothing to read, which Arrow calls an error."""
    try:
        return pyarrow.csv.open_csv(source, *options)
    except pyarrow.ArrowInvalid as error:
        if _NOTHING in str(error):
            return None
        raise


class _Ragged:
    """Rows that are left out, as far as it matters for the places of those that follow."""

    def __init__(self) -> None:
        self.places = array("q")
        self._passed = 0

    def places_of(self, done: int, count: int) -> npt.NDArray[np.int64]:
        """The places of good rows ``done`` to ``done + count`` among all; no earlier ones may be asked for later."""
        good = np.arange(done, done + count, dtype=np.int64)
        places = np.array(self.places, dtype=np.int64)
        good_before = places - self._passed - np.arange(len(places))
        found = good + self._passed + np.searchsorted(good_before, good, side="right")
        passed = int(np.searchsorted(good_before, done + count, side="right"))
        del self.places[:passed]
        self._passed += passed
        return found


class ParquetTable:
    """Numbers, texts, booleans and dictionaries of a Parquet file; nulls are missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            schema = pyarrow.parquet.read_schema(file)
        self._types = {field.name: field.type for field in schema}
        self.names = tuple(schema.names)
        self.floats = frozenset(name for name, kind in self._types.items() if pyarrow.types.is_floating(kind))

    def rows(self, names: Sequence[str], on_ragged: OnRagged) -> Iterator[Rows]:
        for name in names:
            self._check_type(name)
        done = 0
        with _readable(self.path), pyarrow.parquet.ParquetFile(self.path, buffer_size=2**20) as file:
            for batch in file.iter_batches(_PARQUET_ROWS, columns=list(names), use_threads=False):
                cells = {name: _bytes_of(batch.column(batch.schema.get_field_index(name))) for name in names}
                yield Rows(np.arange(done, done + batch.num_rows, dtype=np.int64), cells)
                done += batch.num_rows

    def _check_type(self, name: str) -> None:
        kind = self._types[name]
        inner = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
        checks = ("is_integer", "is_floating", "is_decimal", "is_boolean", "is_string", "is_large_string", "is_null")
        if not any(getattr(pyarrow.types, check)(inner) for check in (*checks, "is_binary", "is_large_binary")):
            raise DataError(
                f"{printable(str(self.path))}: column {name!r} has the type {kind}, which is neither number nor text: "
                "convert it, or name it in data.ignore",
                key="data.ignore",
            )


def _bytes_of(column: Any) -> Any:
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if not (pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)):
        column = column.cast(pyarrow.string())
    return column.cast(pyarrow.binary()).fill_null(b"")
