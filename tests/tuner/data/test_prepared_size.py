"""How much room data needs is known before it is written, also where its file is much smaller."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tuner.data.prepared_size import check_prepared_size, prepared_bytes
from tuner.errors import DataError
from tuner.spec.data import Csv

ROWS = 100_000
# Two integers or places of texts, and the row's place.
TAKEN = ROWS * 3 * 8


def _csv(path: Path, **options: object) -> Csv:
    return Csv.model_validate({"kind": "csv", "path": path, **options})


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_empty_cells_take_room_too(name: str, tmp_path: Path) -> None:
    text = b"first,second\n" + b",\n" * ROWS
    (tmp_path / name).write_bytes(gzip.compress(text, 1) if name.endswith(".gz") else text)
    with pytest.raises(DataError, match=r"would take 0.00\d+ GiB or more"):
        check_prepared_size(_csv(tmp_path / name), TAKEN - 1, "the service allows")
    check_prepared_size(_csv(tmp_path / name), TAKEN + 2 * len(text), "the service allows")


def test_files_that_are_divided_already_are_counted_together(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_bytes(b"first,second\n" + b"0.123456,0.654321\n" * ROWS)
    data = Csv.model_validate(
        {"kind": "csv", "train": tmp_path / "train.csv", "validation": tmp_path / "validation.csv"}
    )
    files = 2 * (tmp_path / "train.csv").stat().st_size
    found = prepared_bytes(data, 4 * files)
    assert found is not None and 2 * TAKEN <= found < 4 * files


def test_numbers_that_parquet_has_once_take_room_for_every_row(tmp_path: Path) -> None:
    path = tmp_path / "zeros.parquet"
    zeros = np.zeros(ROWS, np.int64)
    pyarrow.parquet.write_table(pyarrow.table({"first": zeros, "second": zeros, "ignored": zeros}), path)
    assert path.stat().st_size < TAKEN / 100
    assert prepared_bytes(_csv(path, ignore=["ignored"]), 0) == TAKEN


def test_texts_of_parquet_take_what_they_are_long(tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    texts = [f"{number:06}" + "a" * 1000 for number in range(1000)]
    pyarrow.parquet.write_table(pyarrow.table({"story": texts}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    found = prepared_bytes(_csv(path, text_column="story"), 0)
    assert found is not None and found >= sum(map(len, texts))
