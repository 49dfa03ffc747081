"""Raw examples, a batch at a time, without anything of the project."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import resource
from collections.abc import Callable
from typing import Any

import numpy as np

# What stands for a missing value in a CSV file's columns of numbers, and in what an integer column is given then.
MISSING_NUMBERS = (
    *("", "na", "n/a", "n.a.", "#n/a", "<na>", "#na", "nan", "-nan", "null", "nil", "none", "?", "\\n", "-", "--", "."),
    *("unknown", "missing", "#value!", "#div/0!", "#ref!", "#num!", "#null!", "#name?", "(null)", "#n/a n/a"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "..", "...", "\u2013", "\u2014", "\u2026"),
)
INTEGER_MISSING = -(2**63)
# What a process with TensorFlow has open beside the examples.
_OTHER_FILES = 512

# Gives the values of the examples from one place to another, (n, ...).
Column = Callable[[int, int], Any]


def raw_columns(described: dict[str, Any]) -> tuple[dict[str, Column], int]:
    """The columns of the examples by tensor, and how many examples there are.

    Raises:
        OSError: a file cannot be read.
        ValueError: a CSV file's cell is no number though its column has numbers.
    """
    if "csv" in described:
        read = read_csv(described)
        return {tensor: _sliced(values) for tensor, values in read.items()}, len(next(iter(read.values())))
    _allow_open_files(len(described))
    opened = {tensor: open_column(each) for tensor, each in described.items()}
    return {tensor: column for tensor, (column, _) in opened.items()}, next(iter(opened.values()))[1]


def _allow_open_files(count: int) -> None:
    """Raises the limit of open files, as far as the system lets it: each column of a wide table is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        reached = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, reached), hard))


def open_column(described: dict[str, Any]) -> tuple[Column, int]:
    """A column and its length."""
    if "files" in described:
        files, mark = described["files"], codecs.BOM_UTF8 if described.get("text") else b""
        return lambda start, stop: [_content(file).removeprefix(mark) for file in files[start:stop]], len(files)
    if "strings" in described:
        content = np.load(described["strings"] + ".npy", mmap_mode="r")
        offsets = np.load(described["strings"] + "-offsets.npy")
        return lambda start, stop: [content[offsets[i] : offsets[i + 1]].tobytes() for i in range(start, stop)], len(
            offsets
        ) - 1
    if "codes" in described:
        codes = np.load(described["codes"], mmap_mode="r")
        with open(described["vocabulary"], encoding="utf-8") as file:
            vocabulary = json.load(file)
        return lambda start, stop: [vocabulary[code] for code in codes[start:stop]], len(codes)
    if "pixels" in described:
        return _images(described["pixels"])
    values = np.load(described["array"], mmap_mode="r", allow_pickle=False)
    values = values[described["key"]] if "key" in described else values
    if "rows" not in described:
        return _sliced(values), len(values)
    rows = np.load(described["rows"])
    return lambda start, stop: values[rows[start:stop]], len(rows)


def _images(stem: str) -> tuple[Column, int]:
    flat = np.load(f"{stem}.npy", mmap_mode="r")
    places = np.load(f"{stem}-places.npy")

    def image(offset: int, height: int, width: int) -> Any:
        return flat[offset : offset + height * width * 3].reshape(height, width, 3)

    return lambda start, stop: [image(*place) for place in places[start:stop].tolist()], len(places)


def _sliced(values: Any) -> Column:
    return lambda start, stop: values[start:stop]


def _content(file: str) -> bytes:
    with open(file, "rb") as source:
        return source.read()


def read_csv(described: dict[str, Any]) -> dict[str, list[Any]]:
    """The cells of the rows asked for, by tensor, as a user reads them."""
    rows = np.load(described["rows"])
    places = {int(row): place for place, row in enumerate(rows)}
    columns = described["columns"]
    read: dict[str, list[Any]] = {tensor: [None] * len(rows) for tensor in columns}
    csv.field_size_limit(2**31 - 1)
    # newline="": line ends inside quotes are the csv module's business.
    opened: Any = gzip.open if described["csv"].lower().endswith(".gz") else open
    with opened(described["csv"], "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file, delimiter=described["delimiter"])
        header = next(row for row in lines if any(cell.strip() for cell in row))
        # Lines of white space alone are no rows.
        rows_read = (row for row in lines if len(row) > 1 or (row and (len(header) == 1 or row[0].strip())))
        commas = described["delimiter"] != ","
        cells = [(tensor, header.index(each["name"]), each["kind"]) for tensor, each in columns.items()]
        for number, row in enumerate(rows_read):
            if (place := places.get(number)) is not None:
                for tensor, index, kind in cells:
                    read[tensor][place] = _cell(row[index], kind, commas)
    return read


def _cell(text: str, kind: str, commas: bool) -> Any:
    if kind not in ("number", "integer"):
        return (text.strip() if kind == "category" else text).encode("utf-8", "surrogateescape")
    missing = text.strip().lower() in MISSING_NUMBERS
    if kind == "number":
        return float("nan") if missing else _number(text, commas)
    # Not through a float, which cannot hold every 64-bit integer.
    return INTEGER_MISSING if missing else int(text.strip().partition(".")[0])


def _number(text: str, commas: bool) -> float:
    """A number; with ``commas``, 1,5 and 1.234,5 too."""
    return float(text.replace(".", "").replace(",", ".") if commas and "," in text else text)
