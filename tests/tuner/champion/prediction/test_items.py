"""Rows of files as examples, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tuner.champion.prediction.items import Item, items_of
from tuner.champion.records.champion_json import InputTensor, TensorInput
from tuner.data import table_file

_TABLE = TensorInput(
    kind="table",
    structure="dict",
    tensors=(InputTensor(tensor="a", name="a", kind="number", dtype="float32", shape=(), missing="NaN"),),
    signatures={},
)


@pytest.mark.parametrize("ragged", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_every_row_of_a_file_of_many_blocks_comes_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ragged: float
) -> None:
    monkeypatch.setattr(table_file, "_BLOCKS", (500,))
    draw = np.random.default_rng(0)
    kinds = np.where(draw.random(5000) < ragged, 2, draw.integers(0, 2, 5000)).tolist()
    lines = {0: "{},x", 1: "no{},x", 2: "{}"}
    rows = [lines[kind].format(row) for row, kind in enumerate(kinds, start=1)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b", *rows]) + "\n")
    found = list(items_of(0, tmp_path / "rows.csv", _TABLE))
    assert [item.row for item in found] == list(range(1, 5001))
    for item, kind in zip(found, kinds, strict=True):
        assert _kind(item) == kind
        if item.tensors:
            assert item.tensors["a"] == item.row


def _kind(item: Item) -> int:
    if item.error is None:
        return 0
    return 2 if item.error == "has 1 values, which is not the number of columns" else 1
