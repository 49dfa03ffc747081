"""Writes a table's input columns, with statistics of what is written."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow

from search_spaces.statistics import INTEGER_MISSING
from tuner.data.cells import bare, decimal_comma, integers, numbers
from tuner.data.columns import ArrayWriter, CategoryWriter, ColumnKind, StringWriter
from tuner.data.prepared import InputFacts
from tuner.data.running_statistics import CategorySummary, NumberSummary, TextSummary
from tuner.data.table_scan import Column


class InputWriter(Protocol):
    """Writes one column of one split."""

    def write(self, strings: Any) -> None:
        """Adds Arrow strings (m,)."""

    def statistics(self) -> dict[str, Any]:
        """Of everything written."""


def facts_of(column: Column, statistics: dict[str, Any] | None) -> InputFacts:
    """What the column's file is."""
    kinds: dict[str, tuple[ColumnKind, str]] = {
        "number": ("array", "float32"),
        "integer": ("array", "int64"),
        "category": ("strings" if column.many else "categories", "string"),
        "text": ("strings", "string"),
    }
    kept, dtype = kinds[column.type]
    return InputFacts(name=column.name, kind=column.type, column=kept, dtype=dtype, statistics=statistics)


def input_writer(column: Column, folder: Path, stem: str, stack: ExitStack, delimiter: str) -> InputWriter:
    """The writer for a column of a file with that delimiter; the stack closes its files."""
    if column.type == "number":
        return _Numbers(stack.enter_context(ArrayWriter(folder, stem, np.float32)), decimal_comma(delimiter))
    if column.type == "integer":
        return _Integers(stack.enter_context(ArrayWriter(folder, stem, np.int64)))
    if column.type == "text":
        return _Texts(stack.enter_context(StringWriter(folder, stem)))
    if column.many:
        return _ManyCategories(stack.enter_context(StringWriter(folder, stem)))
    return _Categories(stack.enter_context(CategoryWriter(folder, stem)))


class _Numbers:
    def __init__(self, writer: ArrayWriter, commas: bool) -> None:
        self._writer, self._summary, self._commas = writer, NumberSummary(), commas

    def write(self, strings: Any) -> None:
        values = numbers(strings, self._commas).values.astype(np.float32)
        self._writer.write(values)
        self._summary.add(values.astype(np.float64))

    def statistics(self) -> dict[str, Any]:
        return self._summary.stored()


class _Integers:
    def __init__(self, writer: ArrayWriter) -> None:
        self._writer, self._summary = writer, CategorySummary(INTEGER_MISSING)

    def write(self, strings: Any) -> None:
        values, _ = integers(strings)
        self._writer.write(values)
        found, counts = np.unique(values, return_counts=True)
        self._summary.add(found.tolist(), counts.tolist())

    def statistics(self) -> dict[str, Any]:
        return self._summary.stored()


class _Categories:
    def __init__(self, writer: CategoryWriter) -> None:
        self._writer, self._summary = writer, CategorySummary("")

    def write(self, strings: Any) -> None:
        encoded = bare(strings).dictionary_encode()
        vocabulary = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        self._writer.write_encoded(vocabulary, codes)
        self._summary.add(vocabulary, np.bincount(codes, minlength=len(vocabulary)).tolist())

    def statistics(self) -> dict[str, Any]:
        return self._summary.stored()


class _ManyCategories:
    def __init__(self, writer: StringWriter) -> None:
        self._writer, self._summary = writer, CategorySummary("")

    def write(self, strings: Any) -> None:
        strings = bare(strings)
        self._writer.write(strings.cast(pyarrow.binary()).to_pylist())
        counted = strings.value_counts()
        self._summary.add(counted.field("values").to_pylist(), counted.field("counts").to_pylist())

    def statistics(self) -> dict[str, Any]:
        return self._summary.stored()


class _Texts:
    def __init__(self, writer: StringWriter) -> None:
        self._writer, self._summary = writer, TextSummary()

    def write(self, strings: Any) -> None:
        self._writer.write(strings.cast(pyarrow.binary()).to_pylist())
        self._summary.add(strings.to_pylist())

    def statistics(self) -> dict[str, Any]:
        return self._summary.stored()
