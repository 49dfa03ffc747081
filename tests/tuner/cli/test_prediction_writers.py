"""Predictions as text, and the file that they go to."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tuner.champion.prediction.predict import Prediction
from tuner.cli.prediction_output import opened
from tuner.cli.prediction_writers import PredictionFormat, format_of, writer_of
from tuner.errors import PredictError

# What float32 holds where 0.1 was meant: all its digits count.
EXACT = 0.10000000149011612
LABELLED = [
    Prediction(Path("a,b.png"), "Käse", EXACT),
    Prediction(Path("new\nline"), None, None, "is not an image", row=7),
]


def written(style: PredictionFormat, said: tuple[str, ...], predictions: list[Prediction], **options: Any) -> str:
    writer = writer_of(style, said, None, **{"one_by_one": False} | options)
    return "".join([*map(writer.add, predictions), writer.end()])


def test_json_lines_are_exact_and_have_what_the_task_says() -> None:
    text = written(PredictionFormat.JSONL, ("label", "probability"), LABELLED)
    first, second = map(json.loads, text.splitlines())
    assert first == {"file": "a,b.png", "row": None, "label": "Käse", "probability": EXACT, "error": None}
    assert second == {"file": "new\nline", "row": 7, "label": None, "probability": None, "error": "is not an image"}
    several = Prediction(Path("x"), None, None, value={"age": math.nan, "face": [[1.5], [EXACT]]})
    (line,) = written(PredictionFormat.JSONL, ("value",), [several]).splitlines()
    assert json.loads(line)["value"] == {"age": None, "face": [[1.5], [EXACT]]}
    assert written(PredictionFormat.JSONL, ("value",), []) == ""


def test_csv_has_a_header_an_error_column_and_json_for_what_is_no_number() -> None:
    rows = list(csv.DictReader(io.StringIO(written(PredictionFormat.CSV, ("label", "probability"), LABELLED))))
    assert list(rows[0]) == ["file", "row", "label", "probability", "error"]
    assert (rows[0]["file"], rows[0]["row"], rows[0]["error"]) == ("a,b.png", "", "")
    assert float(rows[0]["probability"]) == EXACT
    assert (rows[1]["file"], rows[1]["row"], rows[1]["label"]) == ("new\nline", "7", "")
    assert rows[1]["error"] == "is not an image"
    values: list[Any] = [EXACT, 3, "text", [1.0, EXACT], {"age": 1.5, "kind": [0.25, 0.75]}]
    predictions = [Prediction(Path("x"), None, None, value=value) for value in values]
    cells = [
        row["value"] for row in csv.DictReader(io.StringIO(written(PredictionFormat.CSV, ("value",), predictions)))
    ]
    assert cells[:3] == [repr(EXACT), "3", "text"] and list(map(json.loads, cells[3:])) == values[3:]
    labels = Prediction(Path("x"), None, None, labels={"a b": EXACT})
    (row,) = csv.DictReader(io.StringIO(written(PredictionFormat.CSV, ("labels",), [labels])))
    assert json.loads(row["labels"]) == {"a b": EXACT}
    assert written(PredictionFormat.CSV, ("value",), []) == "file,row,value,error\n"


def test_json_is_one_array() -> None:
    for predictions in ([], LABELLED[:1], LABELLED):
        found = json.loads(written(PredictionFormat.JSON, ("label", "probability"), predictions))
        assert [item["probability"] for item in found] == [item.probability for item in predictions]


def test_a_table_has_a_header_where_its_columns_change() -> None:
    predictions = [LABELLED[0], LABELLED[1], Prediction(Path("c"), "x", 0.5, row=2)]
    lines = written(PredictionFormat.TABLE, ("label", "probability"), predictions).splitlines()
    assert [line.split() for line in lines] == [
        ["file", "row", "label", "probability"], ["a,b.png", "-", "Käse", "0.1"], ["c", "2", "x", "0.5"],
    ]  # fmt: skip
    lines = written(PredictionFormat.TABLE, ("label", "probability"), predictions[:1] * 2, one_by_one=True).splitlines()
    assert [line.split()[0] for line in lines] == ["file", "a,b.png", "a,b.png"]
    assert written(PredictionFormat.TABLE, ("label", "probability"), LABELLED[1:]) == ""


@pytest.mark.parametrize(
    ("output", "lines", "style"),
    [
        (None, False, "table"),
        (None, True, "jsonl"),
        ("a.CSV", False, "csv"),
        ("a.json", False, "json"),
        ("a.jsonl", True, "jsonl"),
        ("a.ndjson", False, "jsonl"),
    ],
)
def test_the_format_without_an_option(output: str | None, lines: bool, style: str) -> None:
    assert format_of(Path(output) if output else None, lines) == style


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("before")
    (tmp_path / "link").symlink_to(target)
    with opened(tmp_path / "link") as output:
        output.write("after", now=True)
        assert target.read_text() == "before"
    assert target.read_text() == "after" and (tmp_path / "link").is_symlink()
    for error in (PredictError("the model cannot be run"), KeyboardInterrupt(), OSError(5, "of something else")):
        with pytest.raises(type(error)), opened(target) as output:
            output.write("half", now=True)
            raise error
    assert target.read_text() == "after"
    assert {file.name for file in tmp_path.iterdir()} == {"out.csv", "link"}


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("none/out.csv", "none/out.csv cannot be written: No such file or directory"),
        (".", "is not a regular file"),
        ("/dev/full", "/dev/full is not a regular file: give another name, or use >"),
    ],
)
def test_a_file_that_cannot_be_written(tmp_path: Path, output: str, said: str) -> None:
    with pytest.raises(PredictError, match=said), opened(tmp_path / output):
        pass
    assert list(tmp_path.iterdir()) == []
