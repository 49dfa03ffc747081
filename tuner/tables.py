"""Prints query results as a table for people, or as JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Record = Mapping[str, Any]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def print_records(records: Sequence[Record], columns: Sequence[str], style: Format, empty: str = "nothing") -> None:
    """Writes records to standard output. ``columns`` chooses what a table shows; JSON and CSV have every key."""
    if style is Format.JSON:
        print_json(list(records))
    elif style is Format.CSV:
        _print_csv(records, columns)
    elif not records:
        Console(stderr=True).print(empty, highlight=False)
    else:
        _print_table(records, columns)


def print_json(value: Any) -> None:
    """Strict JSON on standard output: what is not a finite number becomes null."""
    sys.stdout.write(json.dumps(_finite(value), indent=2) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value if isinstance(value, str | int | bool | None) else str(value)


def _print_csv(records: Sequence[Record], columns: Sequence[str]) -> None:
    flat = [_flat(record) for record in records]
    names = list(dict.fromkeys(name for record in flat for name in record)) or list(columns)
    # File names may hold bytes that are not UTF-8; as in JSON they come out escaped.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def _flat(record: Record) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{name}": item for name, item in value.items()})
        else:
            flat[key] = value
    return flat


def _print_table(records: Sequence[Record], columns: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        numeric = all(isinstance(record.get(column), int | float | None) for record in records)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for record in records:
        table.add_row(*(Text(show(record.get(column))) for column in columns))
    wide_console().print(table)


def wide_console() -> Console:
    """Standard output; a pipe has no width to wrap at."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def show(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e-3 or abs(value) >= 1e5 else f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return "  ".join(f"{name}={show(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(show(item) for item in value)
    return printable(str(value))


def printable(text: str) -> str:
    """Text with line breaks and undecodable bytes escaped, so that it stays on its line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
