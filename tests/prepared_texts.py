"""Prepared texts, written as a data source writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tuner.data.columns import ArrayWriter, StringWriter
from tuner.data.prepared import (
    InputFacts,
    PreparedData,
    RowOrigin,
    TargetFacts,
    input_stem,
    open_prepared,
    open_split,
    rows_path,
    target_stem,
    write_meta,
)


def write_texts(
    folder: Path,
    splits: dict[str, tuple[Sequence[str], Any]],
    target: TargetFacts,
) -> PreparedData:
    """Writes each split's texts and targets as columns, and opens them.

    Args:
        folder: created.
        splits: by name, texts and an array of their targets.
        target: what the targets are.
    """
    folder.mkdir(parents=True)
    inputs = (InputFacts(kind="text", column="strings", dtype="string", statistics=_statistics(splits["train"][0])),)
    found = {}
    for name, (texts, values) in splits.items():
        with StringWriter(folder, input_stem(name, 0)) as strings:
            strings.write(text.encode() for text in texts)
        with ArrayWriter(folder, target_stem(name, 0), target.dtype, target.shape) as array:
            array.write(np.asarray(values))
        rows = np.arange(len(texts), dtype=np.int64)
        np.save(rows_path(folder, name), rows)
        found[name] = open_split(folder, name, inputs, (target,), RowOrigin("/texts.csv", rows))
    write_meta(PreparedData(folder, "0" * 64, "csv", inputs, (target,), found), folder)
    return open_prepared(folder)


def _statistics(texts: Sequence[str]) -> dict[str, Any]:
    words, characters = [len(text.split()) for text in texts], [len(text) for text in texts]
    shares = np.linspace(0, 1, 101)
    return {
        "words": [int(each) for each in np.quantile(words, shares, method="higher")],
        "characters": [int(each) for each in np.quantile(characters, shares, method="higher")],
    }
