"""What a JSON line is taken for, and what is said about one that is no example."""

from __future__ import annotations

import base64
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_spaces.statistics import INTEGER_MISSING
from tuner.champion.prediction import line_stream
from tuner.champion.prediction.batching import BATCH, Batch, batches_of, by_shape
from tuner.champion.prediction.items import FileEnd, Item, Pause, all_items
from tuner.champion.prediction.json_lines import BadLine, example_of
from tuner.champion.prediction.line_stream import lines_of
from tuner.champion.records.champion_json import ImageInput, InputTensor, TensorInput

_KINDS = {"number": ("float32", "NaN"), "integer": ("int64", INTEGER_MISSING), "category": ("string", "")}


def _table(**kinds: str) -> TensorInput:
    return TensorInput(
        kind="table",
        structure="dict",
        tensors=tuple(
            InputTensor(
                tensor=f"t_{name}", name=name, kind=kind, dtype=_KINDS[kind][0], shape=(), missing=_KINDS[kind][1]
            )
            for name, kind in kinds.items()
        ),
        signatures={},
    )


def _arrays(**shapes: Any) -> TensorInput:
    tensors = [InputTensor(tensor=n, name=n, kind="array", dtype=d, shape=s) for n, (d, s) in shapes.items()]
    return TensorInput(kind="arrays", structure="dict", tensors=tuple(tensors), signatures={})


IMAGE = ImageInput(image_size=(8, 8), color_mode="rgb", signatures={})
TEXT = TensorInput(
    kind="text",
    structure="single",
    tensors=(InputTensor(tensor="text", name="", kind="text", dtype="string", shape=()),),
    column="message",
    signatures={},
)
TABLE = _table(age="number", rooms="integer", place="category")
ROW = {"age": 1.5, "rooms": 3, "place": "Oslo"}
SINGLE, SEVERAL = _arrays(x=("float32", (2, None))), _arrays(x=("int64", (2,)), y=("string", ()))


def tensors(given: Any, takes: Any) -> dict[str, Any]:
    line = given if isinstance(given, bytes) else json.dumps(given).encode()
    return example_of(line, takes).tensors


def problem(given: Any, takes: Any) -> str:
    with pytest.raises(BadLine) as found:
        tensors(given, takes)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_a_row_has_the_types_of_its_columns_and_null_is_missing() -> None:
    assert tensors(ROW, TABLE) == {"t_age": 1.5, "t_rooms": 3, "t_place": b"Oslo"}
    assert tensors({"place": "Zürich", "rooms": 3.0, "age": -2}, TABLE)["t_place"] == "Zürich".encode()
    missing = tensors(dict.fromkeys(ROW), TABLE)
    assert math.isnan(missing["t_age"]) and (missing["t_rooms"], missing["t_place"]) == (INTEGER_MISSING, b"")
    assert math.isnan(tensors(b'{"age": NaN, "rooms": 1, "place": ""}', TABLE)["t_age"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"age": 1, "place": "x"}, 'has no "rooms"; its keys are "age", "place"'),
        (ROW | {"agee": 1}, 'has the unknown key "agee"'),
        (ROW | {"age": "1.5"}, "column 'age' holds \"1.5\", not a number"),
        (ROW | {"age": True}, "column 'age' holds true, not a number"),
        (ROW | {"age": 1e39}, "not a number"),
        (ROW | {"age": math.inf}, "not a number"),
        (ROW | {"rooms": 1.5}, "column 'rooms' holds 1.5, not an integer"),
        (ROW | {"rooms": 10**18}, "not an integer"),
        (ROW | {"place": 7}, "column 'place' holds 7, not a string"),
        (ROW | {"place": "\ud800"}, "half a surrogate pair"),
        ([1, 2], "holds [1, 2], not an object"),
        (b'{"age": 1, "age": 2}', 'has the key "age" twice'),
        (b"{age: 1}", "is not JSON: Expecting property name"),
        (b'{"age": "\xff"}', "is not UTF-8 text: invalid start byte at byte 9"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "is not JSON that can be used"),
    ],
)
def test_what_is_no_row(given: Any, said: str) -> None:
    assert said in problem(given, TABLE)


def test_texts_are_strings_bare_or_under_a_key() -> None:
    for given in ("grüß", {"text": "grüß"}, {"message": "grüß"}):
        assert tensors(given, TEXT) == {"text": "grüß".encode()}
    assert tensors("", TEXT) == {"text": b""}
    assert "is not text: 7" in problem(7, TEXT)
    assert "is not text: null" in problem({"text": None}, TEXT)
    assert 'has no "message"; its keys are "body"' in problem({"body": "x"}, TEXT)
    assert 'unknown key "message"' in problem({"text": "x", "message": "y"}, TEXT)


def test_images_are_named_or_in_base64(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    found = example_of(json.dumps({"file": str(tmp_path / "a.png")}).encode(), IMAGE)
    assert (found.tensors, found.file) == ({"image_bytes": b"content"}, str(tmp_path / "a.png"))
    encoded = base64.b64encode(b"\x00\xff").decode()
    for key in ("base64", "image_bytes"):
        assert tensors({key: encoded}, IMAGE) == {"image_bytes": b"\x00\xff"}
    os.mkfifo(tmp_path / "pipe")
    for given, said in (
        ({"file": str(tmp_path / "b.png")}, "b.png cannot be read: No such file"),
        ({"file": str(tmp_path)}, "is not a regular file"),
        ({"file": str(tmp_path / "pipe")}, "is not a regular file"),
        ({"file": "a\0b"}, "null"),
        ({"base64": "!"}, "base64 is not base64"),
        ({"base64": None}, "base64 holds null, not a string"),
        ({"url": "x"}, 'unknown key "url"'),
        ({"file": "a", "base64": "b"}, 'not {"file": path}'),
        ("a.png", 'not {"file": path}'),
    ):
        assert said in problem(given, IMAGE)


def test_arrays_are_nested_lists() -> None:
    assert tensors([[1, 2, 3], [4, 5, 6]], SINGLE)["x"].dtype == np.float32
    assert tensors({"x": [[1.5], [2]]}, SINGLE)["x"].tolist() == [[1.5], [2.0]]
    found = tensors({"y": "é", "x": [1, 2.0]}, SEVERAL)
    assert found["x"].dtype == np.int64 and found["y"].item() == "é".encode()
    assert "x has the shape (3,), not (2, None)" in problem([1, 2, 3], SINGLE)
    assert "lists of different lengths" in problem([[1], [2, 3]], SINGLE)
    assert "not a number" in problem([[None], [1]], SINGLE) and "not a number" in problem([["1"], ["2"]], SINGLE)
    assert "numbers that are not int64" in problem({"x": [1, 2.5], "y": "a"}, SEVERAL)
    assert "y holds 1, not a string" in problem({"x": [1, 2], "y": 1}, SEVERAL)
    assert 'not an object with "x", "y"' in problem([1, 2], SEVERAL)


def test_lines_are_numbered_and_a_pause_is_where_nothing_is_there_yet() -> None:
    read, write = os.pipe()
    os.write(write, b'\xef\xbb\xbf"a"\n\n  \n"b"\n"c')
    found = lines_of(read)
    assert [(line.number, line.content) for line in (next(found), next(found)) if line] == [(1, b'"a"'), (4, b'"b"')]
    assert next(found) is None
    os.write(write, b'c"\n"d"')
    line = next(found)
    assert line and (line.number, line.content) == (5, b'"cc"')
    assert next(found) is None
    os.close(write)
    assert [(line.number, line.content) for line in found if line] == [(6, b'"d"')]
    os.close(read)


def test_a_line_that_never_ends_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(line_stream, "_LONGEST", 1000)
    (tmp_path / "lines").write_bytes(b'"a"\n"' + b"x" * 300_000 + b'"\n"b"\n')
    with (tmp_path / "lines").open("rb") as file:
        items = list(all_items([file.fileno()], TEXT))
    (long,) = (item for item in items if isinstance(item, Item) and item.error)
    assert (long.row, long.error) == (2, "is longer than 64 MiB")
    assert [item.row for item in items if isinstance(item, Item) and item.tensors] == [1, 3]
    assert items[-1] == FileEnd(0)


def test_batches_are_full_but_before_a_pause() -> None:
    def read() -> Any:
        yield from (Item(0, row) for row in range(BATCH + 2))
        yield Pause()
        yield Pause()
        yield Item(0, tensors={"x": b"x" * 2**25})
        yield Item(0)
        yield FileEnd(0)

    found = list(batches_of(read()))
    assert [(len(batch.entries), batch.last) for batch in found] == [(BATCH, False), (2, True), (1, False), (2, True)]
    assert isinstance(found[0], Batch)


def test_examples_of_different_shapes_are_batches_of_their_own() -> None:
    examples = [{"x": np.zeros(size)} for size in (2, 3, 2)]
    assert list(by_shape(examples)) == [[0, 2], [1]]
    assert list(by_shape([{"x": b"a"}, {"x": b"bc"}])) == [[0, 1]]
