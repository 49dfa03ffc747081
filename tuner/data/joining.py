"""Joins several splits into one to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tuner.data.columns import (
    ArrayColumn,
    ArrayWriter,
    CategoryColumn,
    CategoryWriter,
    Column,
    StringColumn,
    StringWriter,
)
from tuner.data.prepared import (
    FileOrigin,
    Origin,
    PreparedData,
    RowOrigin,
    Split,
    input_stem,
    open_split,
    target_stem,
    weight_stem,
)
from tuner.data.splits import TRAIN

_ROWS = 16_384


def joined(data: PreparedData, names: Sequence[str], folder: Path) -> PreparedData:
    """The data with the examples of several splits, one split after the other, to train on; the others as they are.

    Statistics of inputs and targets stay those of the training split; tokens are counted again.

    Args:
        folder: an existing folder for the joined columns, as large as those that are joined.

    Raises:
        OSError: the disk is full, for example.
    """
    parts = [data.split(name) for name in names]
    for index in range(len(data.inputs)):
        _write_column([part.inputs[index] for part in parts], folder, input_stem(TRAIN, index))
    for index in range(len(data.targets)):
        targets = [ArrayColumn(part.targets[index]) for part in parts]
        _write_column(targets, folder, target_stem(TRAIN, index))
    for index in range(len(data.weights)):
        _write_column([ArrayColumn(part.weights[index]) for part in parts], folder, weight_stem(TRAIN, index))
    split = open_split(folder, TRAIN, data.inputs, data.targets, _origin(parts), data.weights)
    others = {name: each for name, each in data.splits.items() if name != TRAIN}
    return replace(data, folder=folder, splits={TRAIN: split, **others})


def _write_column(columns: Sequence[Column], folder: Path, stem: str) -> None:
    first = columns[0]
    if isinstance(first, ArrayColumn):
        with ArrayWriter(folder, stem, first.values.dtype, first.values.shape[1:]) as arrays:
            for column, start, end in _pieces(columns):
                assert isinstance(column, ArrayColumn)
                arrays.write(column.values[start:end])
    elif isinstance(first, StringColumn):
        with StringWriter(folder, stem) as strings:
            for column, start, end in _pieces(columns):
                assert isinstance(column, StringColumn)
                strings.write(column.rows(np.arange(start, end)))
    else:
        with CategoryWriter(folder, stem) as categories:
            for column, start, end in _pieces(columns):
                assert isinstance(column, CategoryColumn)
                categories.write_encoded(column.vocabulary, column.codes[start:end])


def _pieces(columns: Sequence[Column]) -> Iterator[tuple[Column, int, int]]:
    for column in columns:
        for start in range(0, len(column), _ROWS):
            yield column, start, min(start + _ROWS, len(column))


def _origin(parts: Sequence[Split]) -> Origin:
    first = parts[0].origin
    if isinstance(first, FileOrigin):
        files = [file for part in parts if isinstance(part.origin, FileOrigin) for file in part.origin.files]
        return FileOrigin(first.root, tuple(files))
    return RowOrigin(first.source, np.concatenate([p.origin.rows for p in parts if isinstance(p.origin, RowOrigin)]))
