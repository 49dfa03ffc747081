"""Prints query results as a table for people, or as JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Record = Mapping[str, Any]

# A pipe has no width to wrap at: what reads it gets one record a line.
UNLIMITED = 20_000
_GAP = (0, 2, 0, 0)


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
        print_table(wide_console(), table_of(records, columns))


def print_json(value: Any) -> None:
    """Strict JSON on standard output: what is not a finite number becomes null, times are ISO 8601."""
    sys.stdout.write(json.dumps(strict_json(value), indent=2) + "\n")


def strict_json(value: Any) -> Any:
    """A value that strict JSON has: what is not a finite number becomes null, times and paths become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): strict_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict_json(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | bool | None) else str(value)


def _print_csv(records: Sequence[Record], columns: Sequence[str]) -> None:
    flat = [_flat(record) for record in records]
    names = list(dict.fromkeys(name for record in flat for name in record)) or list(columns)
    # File names may hold bytes that are not UTF-8; as in JSON they come out escaped.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def _flat(record: Record) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{name}": item for name, item in value.items()})
        elif isinstance(value, list | tuple):
            flat[key] = json.dumps(strict_json(value))
        else:
            flat[key] = value.isoformat() if isinstance(value, datetime) else value
    return flat


def table_of(records: Sequence[Record], columns: Sequence[str]) -> Table:
    """One row per record; numbers are aligned on the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=_GAP)
    for column in columns:
        numeric = all(isinstance(record.get(column), int | float | None) for record in records)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for record in records:
        table.add_row(*(Text(show(record.get(column))) for column in columns))
    return table


def fits(console: Console, table: Table) -> bool:
    """Whether no cell of the table has to be wrapped or cut."""
    unlimited = console.options.update_width(UNLIMITED)
    return Measurement.get(console, unlimited, table).maximum <= console.width


def print_table(console: Console, table: Table) -> None:
    """Without the blanks that rich fills lines with, and without wrapping lines in a pipe."""
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")


def wide_console() -> Console:
    """Standard output."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=UNLIMITED)


def show(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return show_number(value)
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return "  ".join(f"{name}={show(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(show(item) for item in value)
    return printable(str(value))


def show_number(value: float) -> str:
    """Four digits that matter; small and large numbers with an exponent. Counts are shown whole."""
    if 1e5 <= abs(value) < 1e12 and value.is_integer():
        return str(int(value))
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.4g}"


def printable(text: str) -> str:
    """Text with line breaks and undecodable bytes escaped, so that it stays on its line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
