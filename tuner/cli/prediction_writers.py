"""How predictions are written: a table for people; JSON, JSON lines or CSV for programs, one at a time as they come."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from tuner.presentation.tables import UNLIMITED, print_table, strict_json, table_of

if TYPE_CHECKING:
    from tuner.champion.prediction.predict import Prediction

# Of a table, so many rows are looked at together for the widths of its columns.
_BLOCK = 1000


class PredictionFormat(StrEnum):
    TABLE = "table"
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"


def format_of(output: Path | None, lines: bool) -> PredictionFormat:
    """Where none is asked for: by a file's name; for a program that gives lines, lines; a table for people."""
    if output is None:
        return PredictionFormat.JSONL if lines else PredictionFormat.TABLE
    name = output.name.lower()
    return next((each for each in PredictionFormat if name.endswith(f".{each}")), PredictionFormat.JSONL)


class Writer(Protocol):
    """Gives the text to write, so that whoever writes it decides when."""

    def add(self, prediction: Prediction) -> str:
        """What is to be written now that this one is there."""

    def end(self) -> str:
        """What is to be written when no more comes."""


def writer_of(style: PredictionFormat, said: Sequence[str], width: int | None, *, one_by_one: bool) -> Writer:
    """A writer for predictions of which a task fills the attributes ``said``.

    Args:
        width: of the terminal that a table is shown on, in columns; None for a pipe or a file.
        one_by_one: a row of a table is not kept back until there are more.
    """
    makers: dict[PredictionFormat, Callable[[], Writer]] = {
        PredictionFormat.TABLE: lambda: TableWriter(said, width, 1 if one_by_one else _BLOCK),
        PredictionFormat.JSONL: lambda: JsonLinesWriter(said),
        PredictionFormat.JSON: JsonWriter,
        PredictionFormat.CSV: lambda: CsvWriter(said),
    }
    return makers[style]()


class JsonLinesWriter:
    """An object a line; what is not a finite number is null."""

    def __init__(self, said: Sequence[str]) -> None:
        self._keys = ("file", "row", *said, "error")

    def add(self, prediction: Prediction) -> str:
        return json.dumps(strict_json({key: getattr(prediction, key) for key in self._keys})) + "\n"

    def end(self) -> str:
        return ""


class JsonWriter:
    """One array of objects with all keys."""

    def __init__(self) -> None:
        self._before = "[\n"

    def add(self, prediction: Prediction) -> str:
        text = json.dumps(strict_json(asdict(prediction)), indent=2)
        before, self._before = self._before, ",\n"
        return before + "\n".join(f"  {line}" for line in text.split("\n"))

    def end(self) -> str:
        return "[]\n" if self._before == "[\n" else "\n]\n"


class CsvWriter:
    """A header, then a row each; ``labels``, and a ``value`` that is no single number or text, are JSON."""

    def __init__(self, said: Sequence[str]) -> None:
        self._keys = ("file", "row", *said, "error")
        self._header = _csv_line(self._keys)

    def add(self, prediction: Prediction) -> str:
        header, self._header = self._header, ""
        return header + _csv_line([_csv_cell(getattr(prediction, key)) for key in self._keys])

    def end(self) -> str:
        return self._header


def _csv_line(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    return json.dumps(strict_json(value)) if isinstance(value, dict | list) else value


class TableWriter:
    """Columns for people, without the examples that have an error, which are said elsewhere."""

    def __init__(self, said: Sequence[str], width: int | None, block: int) -> None:
        self._said = said
        self._width = width
        self._block = block
        self._waiting: list[dict[str, Any]] = []
        self._columns: tuple[str, ...] = ()

    def add(self, prediction: Prediction) -> str:
        if not prediction.error:
            self._waiting.append({key: getattr(prediction, key) for key in ("file", "row", *self._said)})
        return self._written() if len(self._waiting) >= self._block else ""

    def end(self) -> str:
        return self._written() if self._waiting else ""

    def _written(self) -> str:
        rows = any(record["row"] is not None for record in self._waiting)
        columns = ("file", *(("row",) if rows else ()), *self._said)
        table = table_of(self._waiting, columns)
        table.show_header = columns != self._columns
        self._columns, self._waiting = columns, []
        text = io.StringIO()
        on_terminal = self._width is not None
        console = Console(file=text, width=self._width or UNLIMITED, highlight=False, force_terminal=on_terminal)
        print_table(console, table)
        return text.getvalue()
