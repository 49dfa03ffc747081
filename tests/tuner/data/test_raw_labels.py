"""Labels and weights of a proof are those of the source, whatever the cache says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from tuner.data.cache import PreparedData, prepare
from tuner.data.own_arrays import own_arrays
from tuner.data.raw_labels import check_labels
from tuner.errors import DataError
from tuner.spec.data import DataSpec

_SPEC: Any = TypeAdapter(DataSpec)
_ROWS = 40


def _table(path: Path, cells: list[str], delimiter: str = ",", weights: bool = False) -> Path:
    names = ["x", "y", "w"] if weights else ["x", "y"]
    lines = [[str(index), cell, str(index % 3)][: len(names)] for index, cell in enumerate(cells)]
    path.write_text("\n".join(delimiter.join(line) for line in [names, *lines]) + "\n")
    return path


def _classes(folder: Path) -> dict[str, Any]:
    cells = [('"cat, big"', " dog ", "dog")[index % 3] for index in range(_ROWS)]
    return {"kind": "csv", "path": _table(folder / "t.csv", cells, weights=True), "label_column": "y",
            "weight_column": "w"}  # fmt: skip


def _numbered_classes(folder: Path) -> dict[str, Any]:
    cells = [("1", "1.0", "2", "TRUE")[index % 3] for index in range(_ROWS)]
    return {"kind": "csv", "path": _table(folder / "t.csv", cells), "label_column": "y"}


def _booleans(folder: Path) -> dict[str, Any]:
    cells = [("true", "False", "TRUE")[index % 3] for index in range(_ROWS)]
    return {"kind": "csv", "path": _table(folder / "t.csv", cells), "label_column": "y"}


def _quantities(folder: Path) -> dict[str, Any]:
    cells = [f"{index},{index}5" for index in range(_ROWS)]
    return {"kind": "csv", "path": _table(folder / "t.csv", cells, ";"), "label_column": "y", "delimiter": ";"}


def _several_labels(folder: Path) -> dict[str, Any]:
    cells = [("a|b", "b", "", " c |a")[index % 4] for index in range(_ROWS)]
    return {"kind": "csv", "path": _table(folder / "t.csv", cells), "label_column": "y", "label_separator": "|"}


def _text_folders(folder: Path) -> dict[str, Any]:
    for index in range(_ROWS):
        place = folder / "texts" / ("bad", "good")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index}.txt").write_text(f"text {index}")
    return {"kind": "text_directory", "path": folder / "texts"}


def _arrays(folder: Path, **arrays: Any) -> dict[str, Any]:
    np.savez(folder / "a.npz", x=np.arange(_ROWS * 2.0).reshape(_ROWS, 2), **arrays)
    return {"kind": "npz", "path": folder / "a.npz"}


def _array_of_numbers(folder: Path) -> dict[str, Any]:
    return _arrays(folder, y=np.arange(_ROWS) % 3 + 5, w=np.linspace(0, 1, _ROWS))


def _array_of_strings(folder: Path) -> dict[str, Any]:
    return _arrays(folder, y=np.array(["rot", "grün"] * (_ROWS // 2)))


def _rows_of_numbers(folder: Path) -> dict[str, Any]:
    return _arrays(folder, y=np.random.default_rng(0).normal(size=(_ROWS, 3)))


def _function(folder: Path) -> dict[str, Any]:
    (folder / "mine.py").write_text(
        f"import numpy as np\ndef load():\n    x = np.arange({_ROWS * 2}.0).reshape({_ROWS}, 2)\n"
        f"    return x, np.arange({_ROWS}) % 2\n"
    )
    return {"kind": "python", "source": f"{folder / 'mine.py'}:load"}


_KINDS = [
    *(_classes, _numbered_classes, _booleans, _quantities, _several_labels, _text_folders),
    *(_array_of_numbers, _array_of_strings, _rows_of_numbers, _function),
]


def _changed(data: PreparedData, what: str) -> PreparedData:
    """The data with another first label, or weight, as if its file had been changed."""
    part = data.split("validation")
    columns = [np.array(each) for each in getattr(part, what)]
    first = columns[0][0]
    columns[0][0] = 1 - first if data.task == "multi_label" else first + 1
    return replace(data, splits={**data.splits, "validation": replace(part, **{what: tuple(columns)})})


@pytest.mark.parametrize("kind", _KINDS)
def test_what_the_source_says_is_what_was_prepared_and_nothing_else_passes(kind: Any, tmp_path: Path) -> None:
    spec = _SPEC.validate_python(kind(tmp_path) | {"validation_split": 0.3})
    data = prepare(spec, tmp_path / "cache")
    for split in ("train", "validation"):
        (tmp_path / split).mkdir()
        check_labels(spec, data, split, own_arrays(spec, data, split, tmp_path / split))
    own = own_arrays(spec, data, "validation", tmp_path / "validation")
    with pytest.raises(DataError, match=r"the labels of 1 of .* validation examples .* are not those of the source"):
        check_labels(spec, _changed(data, "targets"), "validation", own)
    if data.weights:
        with pytest.raises(DataError, match="the weights of 1 of"):
            check_labels(spec, _changed(data, "weights"), "validation", own)


def test_the_first_example_is_named_and_a_row_that_is_gone_is_said(tmp_path: Path) -> None:
    raw = _classes(tmp_path) | {"validation_split": 0.3}
    spec = _SPEC.validate_python(raw)
    data = prepare(spec, tmp_path / "cache")
    row = int(data.split("validation").origin.rows[0]) + 1  # type: ignore[union-attr]
    with pytest.raises(DataError, match=rf"the first is row {row} of .*t\.csv"):
        check_labels(spec, _changed(data, "targets"), "validation", None)
    lines = raw["path"].read_text().splitlines()
    raw["path"].write_text("\n".join(lines[:5]) + "\n")
    with pytest.raises(DataError, match="lacks rows that the study had"):
        check_labels(spec, data, "validation", None)
