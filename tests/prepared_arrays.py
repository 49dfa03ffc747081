"""Prepared arrays: several inputs and targets, written as a data source writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tuner.data.columns import ArrayWriter
from tuner.data.prepared import (
    InputFacts,
    PreparedData,
    RowOrigin,
    TargetFacts,
    input_stem,
    open_split,
    rows_path,
    target_stem,
    write_meta,
)

INPUTS = (
    InputFacts(name="numbers", kind="array", shape=(3,), dtype="float32"),
    InputFacts(name="kind", kind="array", dtype="int64"),
)
TARGETS = (
    TargetFacts(name="colour", task="classification", dtype="int64", class_names=("red", "green", "blue")),
    TargetFacts(name="weight", task="regression", dtype="float32"),
)


def write_several(folder: Path, structure: str) -> Path:
    """Two inputs, ``numbers`` and ``kind``, and two targets, ``colour`` and ``weight``; both dicts or both tuples."""
    folder.mkdir()
    draw, splits = np.random.default_rng(0), {}
    for name, count in (("train", 24), ("validation", 10)):
        numbers = draw.standard_normal((count, 3)).astype(np.float32)
        kinds = draw.integers(0, 4, count)
        columns = [numbers, kinds, kinds % 3, numbers.sum(axis=1)]
        stems = [stem(name, index) for stem in (input_stem, target_stem) for index in range(2)]
        for stem, facts, values in zip(stems, (*INPUTS, *TARGETS), columns, strict=True):
            with ArrayWriter(folder, stem, facts.dtype, facts.shape) as array:
                array.write(values)
        rows = np.arange(count)
        np.save(rows_path(folder, name), rows)
        splits[name] = open_split(folder, name, INPUTS, TARGETS, RowOrigin("/arrays.npz", rows))
    several = {"structure": structure, "target_structure": structure}
    write_meta(PreparedData(folder, "0" * 64, "npz", INPUTS, TARGETS, splits, **several), folder)
    return folder
