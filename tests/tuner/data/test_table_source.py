import gzip
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from search_spaces.statistics import INTEGER_MISSING
from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.cache import prepare
from tuner.data.summary import summary_of
from tuner.errors import DataError
from tuner.spec.data import Csv

SHARED = Path(__file__).resolve().parents[4] / "shared/data"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def table(tmp_path, cache):
    """Prepares rows of text, as a CSV file, with the keys given."""

    def make(*lines, end="\n", name="table.csv", raw=None, **keys):
        content = raw if raw is not None else "".join(line + end for line in lines).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return prepare(Csv(kind="csv", **({"path": tmp_path / name} | keys)), cache)

    return make


def inputs_of(prepared):
    """Every example as it is trained on, by its row."""
    found = {}
    for name, split in prepared.splits.items():
        batch = next(iter(evaluation_batches(prepared, len(split), BatchFormat(), name)))
        x = batch[0] if isinstance(batch[0], dict) else {"": batch[0]}
        for i, row in enumerate(split.origin.rows):
            found[int(row)] = {key: values[i].numpy() for key, values in x.items()}
    return [found[row] for row in sorted(found)]


TYPES = [
    "size,rooms,age,city,code,label",
    *(f"{i}.25,{i % 3},{i},{['Rome', 'Oslo'][i % 2]},{i % 2}x,{'ab'[i % 2]}" for i in range(40)),
]


def test_types_are_inferred_from_all_rows(table):
    prepared = table(*TYPES, label_column="label")
    assert {each.name: each.kind for each in prepared.inputs} == {
        "size": "number", "rooms": "integer", "age": "number", "city": "category", "code": "category",
    }  # fmt: skip
    assert prepared.structure == "dict"
    assert prepared.class_names == ("a", "b")
    assert inputs_of(prepared)[3] == {"size": 3.25, "rooms": 0, "age": 3.0, "city": b"Oslo", "code": b"1x"}


def test_types_can_be_declared_and_columns_ignored(table):
    prepared = table(
        *TYPES, label_column="label", columns={"age": "category", "city": "text", "rooms": "number"}, ignore=["size"]
    )
    assert [(each.name, each.kind) for each in prepared.inputs] == [
        ("rooms", "number"), ("age", "category"), ("city", "text"), ("code", "category"),
    ]  # fmt: skip
    assert inputs_of(prepared)[39] == {"rooms": 0.0, "age": b"39", "city": b"Oslo", "code": b"1x"}


def test_missing_values(table):
    lines = ["n,i,c,y", "1.5,1,p,a", ",,,b", "NaN, NA ,q,a", "?,2,NA,b", *["2.5,1,p,a", "2.5,1,p,b"] * 5]
    prepared = table(*lines, label_column="y")
    found = inputs_of(prepared)
    assert [each.kind for each in prepared.inputs] == ["number", "integer", "category"]
    assert np.isnan([row["n"] for row in found[:4]]).tolist() == [False, True, True, True]
    assert [row["i"] for row in found[:4]] == [1, INTEGER_MISSING, INTEGER_MISSING, 2]
    assert [row["c"] for row in found[:4]] == [b"p", b"", b"q", b"NA"]


def test_statistics_are_of_the_training_rows(table):
    lines = ["n,i,c,y,s"]
    lines += [f"{n},{i},{c},{y},train" for n, i, c, y in [(1, 7, "p", "a"), (2, 7, "q", "b"), ("", 8, "q", "a")]]
    lines += ["4.5,9,,b,train", "1000.5,7,z,a,validation", "1000.5,7,z,b,validation"]
    prepared = table(*lines, label_column="y", split_column="s")
    number, integer, category = (each.statistics for each in summary_of(prepared).inputs)
    assert (number.missing, number.distinct, number.mean) == (1, 3, 2.5)
    assert number.variance == pytest.approx(np.var([1, 2, 4.5]))
    assert number.quantiles == pytest.approx(np.quantile([1, 2, 4.5], np.linspace(0, 1, 101)))
    assert (integer.missing, integer.values, integer.counts) == (0, (7, 8, 9), (2, 1, 1))
    assert (category.missing, category.values, category.counts) == (1, ("q", "p"), (2, 1))


def test_texts(table):
    lines = ["id,text,label", *(f'{i},"{"word, " * (i % 5 + 1)}ä",{["spam", "ham"][i % 2]}' for i in range(50))]
    prepared = table(*lines, text_column="text", label_column="label", test_split=0.2)
    assert [(each.name, each.kind, each.shape) for each in prepared.inputs] == [("", "text", ())]
    assert prepared.structure == "single"
    assert inputs_of(prepared)[4][""].decode() == "word, " * 5 + "ä"
    assert {name: len(split) for name, split in prepared.splits.items()} == {"train": 30, "validation": 10, "test": 10}
    statistics = summary_of(prepared).inputs[0].statistics
    assert (statistics.words[0], statistics.words[-1]) == (2, 6)
    assert (statistics.characters[0], statistics.characters[-1]) == (7, 31)


def test_a_split_is_stratified_and_remembers_its_rows(table):
    prepared = table("n,y", *(f"{i},{'a' if i % 4 else 'b'}" for i in range(80)), label_column="y", seed=3)
    assert prepared.class_counts("train") == (48, 16)
    assert prepared.class_counts("validation") == (12, 4)
    for name, split in prepared.splits.items():
        assert split.inputs[0].values.tolist() == split.origin.rows.tolist()
        assert [record["row"] for record in prepared.split_records(name)] == [row + 1 for row in split.origin.rows]
        assert split.origin.source.endswith("/table.csv")


@pytest.mark.parametrize(
    "labels, keys, task, names",
    [
        (["10", "9"], {}, "classification", ("9", "10")),
        (["1.0", "0.0"], {}, "classification", ("0.0", "1.0")),
        (["b", "10", "9"], {}, "classification", ("10", "9", "b")),
        (["none", "some"], {}, "classification", ("none", "some")),
        ([str(i) for i in range(20)], {}, "classification", tuple(map(str, range(20)))),
        ([str(i) for i in range(21)], {}, "regression", ()),
        (["1.5", "2"], {}, "regression", ()),
        (["1.5", "2"], {"task": "classification"}, "classification", ("1.5", "2")),
        (["1", "2"], {"task": "regression"}, "regression", ()),
        (["a;b", "b", ""], {"label_separator": ";"}, "multi_label", ("a", "b")),
    ],
)
def test_the_task_is_inferred_or_given(table, labels, keys, task, names):
    prepared = table("n,y", *(f"{i},{label}" for i, label in enumerate(labels * 4)), label_column="y", **keys)
    assert (prepared.task, prepared.class_names) == (task, names)


def test_targets_of_each_task(table):
    by_row = {}
    for name, labels, keys in [
        ("regression", ["1.5", "2.5"], {}),
        ("multi_label", ["a;b", "", "b"], {"label_separator": ";"}),
    ]:
        prepared = table("n,y", *(f"{i},{label}" for i, label in enumerate(labels * 6)), label_column="y", **keys)
        found = {}
        for split in prepared.splits.values():
            found |= dict(zip(split.origin.rows.tolist(), split.targets[0].tolist(), strict=True))
        by_row[name] = [found[row] for row in sorted(found)]
        assert {split.targets[0].dtype.name for split in prepared.splits.values()} == {"float32"}
        if name == "regression":
            train = prepared.splits["train"].targets[0]
            statistics = summary_of(prepared).target.statistics
            assert (statistics.mean, statistics.variance) == ((train.mean(),), (pytest.approx(train.var()),))
    assert by_row == {"regression": [1.5, 2.5] * 6, "multi_label": [[1, 1], [0, 0], [0, 1]] * 6}


def test_without_labels(table):
    prepared = table("n,m", *(f"{i}.5,{i}.5" for i in range(10)))
    assert (prepared.targets, prepared.task) == ((), "none")
    x = next(iter(TrainingBatches(prepared, 4, 0, BatchFormat()).dataset))
    assert {name: values.shape.as_list() for name, values in x.items()} == {"n": [4], "m": [4]}


def test_weights_reach_the_batches(table):
    prepared = table("n,w,y", *(f"{i},{i / 2},{'ab'[i % 2]}" for i in range(20)), label_column="y", weight_column="w")
    x, _, weights = next(iter(TrainingBatches(prepared, 16, 0, BatchFormat()).dataset))
    assert np.array_equal(weights, x["n"] / 2)


def test_separate_files(table, tmp_path):
    (tmp_path / "train.csv").write_text("n,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(10)))
    (tmp_path / "test.csv").write_text("y,m,n\n" + "".join(f"{'ab'[i % 2]},q,{i}.5\n" for i in range(6)))
    keys = {"path": None, "train": tmp_path / "train.csv", "validation": tmp_path / "test.csv", "label_column": "y"}
    prepared = table("unused", **keys)
    assert {name: len(split) for name, split in prepared.splits.items()} == {"train": 10, "validation": 6}
    assert prepared.splits["validation"].inputs[0].values.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert prepared.splits["validation"].origin.source == str(tmp_path / "test.csv")
    (tmp_path / "test.csv").write_text("y,m\na,q\n")
    with pytest.raises(
        DataError, match=r"test.csv has no column 'n', which .*train.csv has; it has 'y', 'm'"
    ) as caught:
        table("unused", **keys)
    assert caught.value.key == "data.validation"


def test_a_split_column_and_its_values(table):
    lines = ["n,y,part", *(f"{i},{'ab'[i % 2]},{['learn', 'check'][i // 6]}" for i in range(12))]
    keys = {"label_column": "y", "split_column": "part"}
    prepared = table(*lines, **keys, split_values={"train": "learn", "validation": "check"})
    assert prepared.splits["validation"].origin.rows.tolist() == list(range(6, 12))
    prepared = table(*lines, **keys, split_values={"train": "learn", "test": "check"})
    assert {name: len(split) for name, split in prepared.splits.items()} == {"train": 4, "validation": 2, "test": 6}
    with pytest.raises(DataError, match=r"row 7 .*'part' is none of data.split_values: 'learn'"):
        table(*lines, **keys, split_values={"train": "learn"})
    with pytest.raises(DataError, match=r"no usable row has the value 'valid' .* there are 'learn', 'check'.*split_"):
        table(*lines, **keys, split_values={"train": "learn", "validation": "valid", "test": "check"})


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet", "table.tsv"])
def test_every_format_gives_the_same_columns(table, tmp_path, name):
    size, city, label = [1.5, None, 1e-30, 3.0] * 5, ["Oslo", "Rome", None, "a\nb"] * 5, ["a", "b"] * 10
    if name == "table.parquet":
        buffer = pyarrow.BufferOutputStream()
        columns = {"size": size, "city": pyarrow.array(city).dictionary_encode(), "label": label}
        pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
        raw = buffer.getvalue().to_pybytes()
    else:
        cells = zip(size, city, label, strict=True)
        lines = ["size,city,label", *(f'{s or ""},"{c or ""}",{y}' for s, c, y in cells)]
        raw = "\n".join(lines).encode().replace(b",", b"\t" if name == "table.tsv" else b",")
    prepared = table(name=name, raw=raw, label_column="label", delimiter="\t" if name == "table.tsv" else ",")
    found = inputs_of(prepared)
    assert np.array_equal(
        [row["size"] for row in found], np.array([1.5, np.nan, 1e-30, 3.0] * 5, np.float32), equal_nan=True
    )
    assert [row["city"] for row in found] == [b"Oslo", b"Rome", b"", b"a\nb"] * 5


def test_parquet_types(table, tmp_path):
    columns = {
        "real": np.arange(10) % 2 * 1.0,
        "whole": np.arange(10) % 2,
        "flag": np.arange(10) % 2 == 0,
        "y": ["a", "b"] * 5,
        "when": np.arange(10).astype("datetime64[s]"),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "table.parquet")
    raw = (tmp_path / "table.parquet").read_bytes()
    with pytest.raises(DataError, match=r"'when' has the type timestamp\[ms\].*data.ignore"):
        table(name="table.parquet", raw=raw, label_column="y")
    prepared = table(name="table.parquet", raw=raw, label_column="y", ignore=["when"])
    assert [each.kind for each in prepared.inputs] == ["number", "integer", "category"]


def test_a_bom_windows_line_ends_quoted_newlines_and_blank_lines(table):
    text = '\ufeffn,text,y\r\n1,"first\r\nsecond, ""quoted""",a\r\n\r\n2,plain,b\r\n' * 1 + "3,x,a\r\n4,y,b\r\n"
    prepared = table(raw=text.encode(), text_column="text", label_column="y", ignore=["n"], validation_split=0.5)
    assert [row[""] for row in inputs_of(prepared)] == [b'first\r\nsecond, "quoted"', b"plain", b"x", b"y"]


def test_long_rows_are_read_with_larger_blocks(table, monkeypatch):
    monkeypatch.setattr("tuner.data.table_file._BLOCKS", (200, 1000, 20_000))
    texts = [f"{i} {'x' * (5000 if i in (47, 80) else 900 if i == 30 else 3)}" for i in range(100)]
    lines = [f"{text},{'ab'[i % 2]}" for i, text in enumerate(texts)]
    lines[10:10], lines[60:60] = ["ragged"], ["ragged,a,b"]
    prepared = table("t,y", *lines, text_column="t", label_column="y", on_error="skip")
    assert [row[""].decode() for row in inputs_of(prepared)] == texts
    assert [bad.file for bad in prepared.bad_files] == ["row 11", "row 61"]
    assert prepared.left_out == 2
    monkeypatch.setattr("tuner.data.table_file._BLOCKS", (200, 1000))
    with pytest.raises(DataError, match="a row is longer than 0 MiB; is a quotation mark not closed"):
        table("t,y", *lines, text_column="t", label_column="y", on_error="skip", seed=1)


def test_many_categories_are_kept_one_by_one(table, monkeypatch):
    monkeypatch.setattr("tuner.data.column_types.LISTED_CATEGORIES", 5)
    monkeypatch.setattr("tuner.data.running_statistics.COUNTED", 5)
    lines = ["c,y", *(f"{'often' if i % 3 else i}x,{'ab'[i % 2]}" for i in range(60))]
    prepared = table(*lines, label_column="y")
    assert (prepared.inputs[0].kind, prepared.inputs[0].column) == ("category", "strings")
    assert [row["c"] for row in inputs_of(prepared)] == [f"{'often' if i % 3 else i}x".encode() for i in range(60)]
    statistics = summary_of(prepared).inputs[0].statistics
    assert (len(statistics.values), statistics.values[0]) == (5, "oftenx")


BAD_TABLES = {
    "no such label": (["n,price,y", "1,2,a"], {"label_column": "prize"}, "no column 'prize' (data.label_column); did"),
    "no such type": (["n,y", "1,a"], {"columns": {"m": "number"}}, "has no column 'm' (data.columns.m)"),
    "duplicate": (["n,n,y", "1,2,a"], {"label_column": "y"}, "has more than one column 'n'"),
    "nameless": ([",n,y", "0,1,a"], {"label_column": "y"}, 'column 1 has no name: name it, or set data.ignore: [""]'),
    "empty label": (["n,y", "1,a", "2,", "3,b"], {"label_column": "y"}, "1 row of {file} cannot be used: row 2 (the"),
    "word among numbers": (
        ["n,y", *(f"{i}.5,{'ab'[i % 2]}" for i in range(30)), "many,a"],
        {"label_column": "y"},
        "column 'n' holds numbers in 30 of 31 rows, but row 31 of {file} holds 'many': repair it, or set "
        "data.columns: {{n: category}}",
    ),
    "declared number": (["n,y", "1,a", "x,b"], {"columns": {"n": "number"}}, "column 'n': row 2 of {file} holds 'x'"),
    "declared integer": (["n,y", "1,a", "1.5,b"], {"columns": {"n": "integer"}}, "row 2 of {file} holds '1.5'"),
    "infinite input": (["n,y", "1.5,a", "-inf,b", "2,a"], {}, "row 2 of {file} holds '-inf', which is infinite or"),
    "no values": (["n,m,y", "1,,a", "2,,b"], {"label_column": "y"}, "column 'm' is empty in every row"),
    "not UTF-8": (
        [], {"raw": b"t,y\nx,a\n\xff,b\n", "text_column": "t", "label_column": "y"}, "row 2 (column 't' is not UTF-8",
    ),
    "empty text": (["t,y", "x,a", "  ,b"], {"text_column": "t"}, "row 2 (the text in column 't' is empty)"),
    "ragged": (["n,y", "1,a", "2,b,c", "3"], {}, "2 rows of {file} cannot be used: row 2 (3 values, the header has"),
    "infinite target": (["n,y", "1,1.5", "2,inf", "3,2.5"], {"label_column": "y"}, "row 2 (the label column 'y'"),
    "negative weight": (["n,w", "1,1", "2,-1"], {"weight_column": "w"}, "row 2 (the weight in column 'w' is"),
    "one class": (["n,y", "1,a", "2,a"], {"label_column": "y"}, "holds only one class ('a'): classification needs two"),
    "rare class": (["n,y", "1,a", "2,a", "3,b"], {"label_column": "y"}, "class 'b' has 1 usable example"),
    "empty file": ([], {}, "{file} is empty: it needs a header and rows"),
    "no rows": (["n,y"], {}, "{file} has a header and no rows"),
    "no inputs": (["y", "a"], {"label_column": "y"}, "has no column left that could be an input"),
    "header not UTF-8": ([], {"raw": b"\xff,y\n1,a\n"}, "the header is not UTF-8 text"),
    "damaged gzip": ([], {"raw": b"n,y\n", "name": "table.parquet"}, "{file} cannot be read: "),
}  # fmt: skip
# The keys of the spec that they are mistakes of, where that is not the path.
KEYS = {
    "no such label": "label_column",
    "no such type": "columns.m",
    **dict.fromkeys(("nameless", "no values", "no inputs"), "ignore"),
    **dict.fromkeys(("word among numbers", "declared number", "declared integer", "infinite input"), "columns.n"),
    **dict.fromkeys(("empty label", "not UTF-8", "empty text", "ragged", "infinite target"), "on_error"),
    "negative weight": "on_error",
    "one class": "label_column",
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_refused(table, tmp_path, case):
    lines, keys, message = BAD_TABLES[case]
    with pytest.raises(DataError) as caught:
        table(*lines, **keys)
    assert message.format(file=tmp_path / keys.get("name", "table.csv")) in str(caught.value)
    assert caught.value.key == f"data.{KEYS.get(case, 'path')}"


def test_damaged_and_missing_files(table, tmp_path):
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"n,y\n" + b"1,a\n" * 9999)[:-20])
    for name, message in [("cut.csv.gz", "cut.csv.gz"), ("none.csv", "none.csv does not exist"), ("", "is a folder")]:
        with pytest.raises(DataError, match=message):
            table("n,y", path=tmp_path / name)


def test_bad_rows_are_left_out_and_counted_if_asked(table):
    good = [f"text {i},{'ab'[i % 2]}" for i in range(12)]
    lines = ["t,y", *good[:6], ",a", "x,y,z", "text,", *good[6:]]
    prepared = table(*lines, text_column="t", label_column="y", on_error="skip")
    assert sorted(row for split in prepared.splits.values() for row in split.origin.rows) == [*range(6), *range(9, 15)]
    described = prepared.describe()
    assert described["skipped"] == 3
    assert [bad["file"] for bad in described["skipped_files"]] == ["row 7", "row 8", "row 9"]
    assert inputs_of(prepared)[6][""] == b"text 6"


def test_a_class_that_training_lacks(table, tmp_path):
    (tmp_path / "train.csv").write_text("n,y\n1,a\n2,b\n")
    (tmp_path / "other.csv").write_text("n,y\n1,a\n2,c\n")
    keys = {"path": None, "train": tmp_path / "train.csv", "validation": tmp_path / "other.csv", "label_column": "y"}
    with pytest.raises(DataError, match=r"validation data has the class 'c' \(row 2 of .*other.csv\), which the train"):
        table("unused", **keys)


def test_the_identity_is_content_and_settings_not_place(table, tmp_path):
    lines = ["n,m,y", *(f"{i},{i}.5,{'ab'[i % 2]}" for i in range(20))]
    first = table(*lines, label_column="y")
    moved = table(*lines, label_column="y", name="moved.csv")
    assert moved.fingerprint == first.fingerprint
    assert moved.folder == first.folder
    assert moved.split("train").origin.source.endswith("moved.csv")
    assert table(*lines, label_column="y", ignore=["m"]).fingerprint != first.fingerprint
    assert table(*lines[:-1], label_column="y").fingerprint != first.fingerprint


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside the project")
def test_real_tables(cache):
    values = {"train": "train", "validation": "test"}
    keys = {"text_column": "text", "label_column": "label", "split_column": "split", "split_values": values}
    texts = prepare(Csv(kind="csv", path=SHARED / "sms_spam/data.csv", **keys), cache)
    assert {name: texts.class_counts(name) for name in texts.splits} == {"train": (3863, 597), "validation": (964, 150)}
    rows = prepare(Csv(kind="csv", path=SHARED / "creditcard/creditcard.csv", label_column="Class"), cache)
    assert Counter(each.kind for each in rows.inputs) == {"number": 30}
    assert {name: rows.class_counts(name) for name in rows.splits} == {"train": (984, 394), "validation": (246, 98)}


def kinds_of(prepared):
    return {each.name: each.kind for each in prepared.inputs}


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("first", ["", "\ufeff", "{end}", "\ufeff{end}  {end}\t{end}"])
def test_blank_lines_are_no_rows_wherever_they_are(table, name, end, first):
    lines = ['"a ""size""\nin cm",b,y', "1.5,x,p", "", "  ", "2.5,x,q", "bad", " ", "3.5,z,p", "4.5,x,q", "", ""]
    raw = first.format(end=end).encode() + end.join(lines).encode()
    prepared = table(raw=raw, name=name, label_column="y", on_error="skip", validation_split=0.5)
    assert [row['a "size"\nin cm'] for row in inputs_of(prepared)] == [1.5, 2.5, 3.5, 4.5]
    assert sorted(row for split in prepared.splits.values() for row in split.origin.rows) == [0, 1, 3, 4]
    assert [bad.file for bad in prepared.bad_files] == ["row 3"]


@pytest.mark.parametrize("content", [b"a,b,y", b"\n a,b,y", b"a,b,y\n\n  \n", b'"a","b","y"'])
@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_a_header_alone_has_no_rows(table, content, name):
    with pytest.raises(DataError, match="has a header and no rows"):
        table(raw=content, name=name, label_column="y")


@pytest.mark.parametrize(
    "header, row, said",
    [
        ("a,b,y", "1,2,{},", "row 1 (4 values, the header has 3 columns)"),
        ("a,b,y,z", "1,2,{}", "row 1 (3 values, the header has 4 columns)"),
        ("a;b;y", "1;2;{};", "row 1 (4 values, the header has 3 columns)"),
    ],
)
@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_delimiters_at_the_end_of_every_row_or_of_the_header_are_named(table, header, row, said, on_error):
    rows = [row.format("pq"[i % 2]) for i in range(30)]
    with pytest.raises(DataError, match="a delimiter at the end of every row") as caught:
        table(header, *rows, label_column="y", on_error=on_error, delimiter=header[1])
    assert said in str(caught.value)


def test_labels_and_categories_do_not_differ_by_the_blanks_around_them(table):
    blanks = ["", " ", "\t", "\u00a0", "  "]
    rows = [
        f"{blanks[i % 5]}{'Rome' if i % 2 else 'Oslo'}{blanks[i % 3]},{blanks[i % 4]}{i}.5 ,"
        f" {'train' if i < 30 else 'test'},{blanks[i % 3]}{'yes' if i % 2 else 'no'}{blanks[i % 2]}"
        for i in range(40)
    ]
    splits = {"train": " train ", "test": "test"}
    prepared = table("city,n,part,y", *rows, label_column="y", split_column="part", split_values=splits)
    assert prepared.class_names == ("no", "yes")
    assert {row["city"] for row in inputs_of(prepared)} == {b"Rome", b"Oslo"}
    assert [row["n"] for row in inputs_of(prepared)] == [i + 0.5 for i in range(40)]
    assert {name: len(split) for name, split in prepared.splits.items()} == {"train": 24, "validation": 6, "test": 10}


@pytest.mark.parametrize(
    "labels, keys, names",
    [
        (["1", "1.0", "0", "0.0", "1.00", "0."], {}, ("0", "1")),
        (["1", "1.0", "0"], {"task": "classification"}, ("0", "1")),
        (["1.0", "2.0"], {}, ("1.0", "2.0")),
        (["01", "1", "2"], {}, ("01", "1", "2")),
        (["9007199254740993", "9007199254740992"], {}, ("9007199254740992", "9007199254740993")),
        (["1.1", "1.10"], {"task": "classification"}, ("1.1", "1.10")),
        (["True", "true", "TRUE", "False", "false"], {}, ("false", "true")),
        (["True", "False"], {}, ("False", "True")),
        (["Yes", "yes"], {}, ("Yes", "yes")),
        (["caf\u00e9", "cafe\u0301", "no"], {}, ("caf\u00e9", "no")),
    ],
)
def test_numbers_and_booleans_written_in_several_ways_are_one_class_each(table, labels, keys, names):
    rows = [f"{i},{label}" for i, label in enumerate(labels * 8)]
    assert table("n,y", *rows, label_column="y", **keys).class_names == names


MARKERS = [
    *("\\N", "-", "--", ".", "..", "\u2013", "\u2014", "unknown", "Missing", "#VALUE!", "#DIV/0!", "n.a.", "nil", "NA"),
    *("N/A", "?", "None", "(null)", "1.#QNAN", "-1.#IND", "#N/A N/A"),
]


@pytest.mark.parametrize("marker", MARKERS)
def test_what_stands_for_a_missing_number_makes_no_category_of_a_column(table, marker):
    rows = [f"{marker if i % 3 == 0 else f'{i}.5'},{marker if i % 4 == 0 else i % 3},{'pq'[i % 2]}" for i in range(60)]
    prepared = table("n,i,y", *rows, label_column="y")
    assert kinds_of(prepared) == {"n": "number", "i": "integer"}
    found = inputs_of(prepared)
    assert [bool(np.isnan(row["n"])) for row in found] == [i % 3 == 0 for i in range(60)]
    assert [row["i"] == INTEGER_MISSING for row in found] == [i % 4 == 0 for i in range(60)]


def test_a_word_of_ones_own_for_a_missing_number_is_named(table):
    rows = [f"{'tbd' if i % 10 == 0 else f'{i}.5'},{'pq'[i % 2]}" for i in range(60)]
    with pytest.raises(DataError, match=r"numbers in 54 of 60 rows, but row 1 .* holds 'tbd': leave such cells empty"):
        table("n,y", *rows, label_column="y")
    assert kinds_of(table("n,y", *rows, label_column="y", columns={"n": "category"})) == {"n": "category"}
    codes = [f"{'V' if i % 4 == 0 else ''}{i},{'pq'[i % 2]}" for i in range(60)]
    assert kinds_of(table("n,y", *codes, label_column="y")) == {"n": "category"}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_read_where_a_comma_divides_no_values(table, delimiter):
    values = ["1,5", "-0,25", " 2 ", "1.234,5", "3e2", "-", "0,532"]
    rows = [delimiter.join([values[i % 7], f"{i},5", f"{i}.5", "pq"[i % 2], f"{i},25"]) for i in range(42)]
    prepared = table(
        delimiter.join(["n", "w", "p", "c", "y"]), *rows, delimiter=delimiter, label_column="y", weight_column="w"
    )
    assert (prepared.task, kinds_of(prepared)) == ("regression", {"n": "number", "p": "number", "c": "category"})
    expected = np.float32([1.5, -0.25, 2, 1234.5, 300, np.nan, 0.532] * 6)
    assert np.array_equal([row["n"] for row in inputs_of(prepared)], expected, equal_nan=True)
    split = prepared.split("train")
    assert split.targets[0].tolist() == [row + 0.25 for row in split.origin.rows]
    assert split.weights[0].tolist() == [row + 0.5 for row in split.origin.rows]


@pytest.mark.parametrize(
    "written, delimiter, said",
    [
        (
            lambda i: f"{i},5" if i % 2 else f"{i}.5",
            ";",
            "has decimal commas and points: row 1 .* '0.5'|row 2 .* '1,5'",
        ),
        (lambda i: f"{i + 1},234", "\t", "has commas that could be decimal ones or divide thousands: row 1 .*'1,234'"),
        (lambda i: f'"{i},5"', ",", "seems to be of numbers, but with decimal commas, .*: row 1 .* '0,5'"),
        (lambda i: f'"{i + 1},234,567.5"' if i % 2 else str(i), ",", "seems to be of numbers"),
        (lambda i: f"{i + 1}\u00a0234", ",", "seems to be of numbers"),
        (lambda i: f"{i} %", ",", "seems to be of numbers"),
        (lambda i: f"${i}.50", ";", "seems to be of numbers"),
        (lambda i: f"\u2212{i}.5", ",", "seems to be of numbers"),
        (lambda i: f"({i}.50)", ",", "seems to be of numbers"),
        (lambda i: "<0.5" if i % 10 == 0 else f"{i}.5", ",", "seems to be of numbers, .* bounds .*: row 1 .* '<0.5'"),
        (lambda i: f">= {i}" if i % 3 == 0 else str(i), ",", "seems to be of numbers"),
        (lambda i: "90+" if i % 10 == 0 else str(i), ",", "seems to be of numbers"),
        (lambda i: "1.#INF" if i % 10 == 0 else f"{i}.5", ",", "seems to be of numbers"),
        (lambda i: str(i).translate({48 + k: 0x660 + k for k in range(10)}), ",", "seems to be of numbers"),
    ],
)
def test_numbers_that_could_be_read_in_two_ways_are_refused(table, written, delimiter, said):
    lines = [f"n{delimiter}y", *(f"{written(i)}{delimiter}{'pq'[i % 2]}" for i in range(40))]
    with pytest.raises(DataError, match=rf"column 'n' {said}"):
        table(*lines, delimiter=delimiter, label_column="y")
    declared = table(*lines, delimiter=delimiter, label_column="y", columns={"n": "category"})
    assert kinds_of(declared) == {"n": "category"}


@pytest.mark.parametrize("grouped", [True, False])
def test_points_beside_decimal_commas_of_another_column_may_divide_thousands(table, grouped):
    rows = [f"{i + 1}.{100 + i}{'' if grouped else 5};{i},5;{'pq'[i % 2]}" for i in range(40)]
    if grouped:
        with pytest.raises(DataError, match=r"column 'n' has points .* divide thousands, .*'w' .*'1\.100', .*'0,5'"):
            table("n;w;y", *rows, delimiter=";", label_column="y")
    alone = table("n;w;y", *rows, delimiter=";", label_column="y", ignore=["w"] if grouped else [])
    assert kinds_of(alone)["n"] == "number"


@pytest.mark.parametrize(
    "values",
    [
        [1_700_000_000_000 + 100 * i for i in range(400)],
        [1_700_000_000_000 + i for i in range(400)],
        [9_007_199_254_740_993 + 2 * i for i in range(400)],
        [1.0 + 1e-9 * i for i in range(400)],
        [123456.78901 + (i % 2) * 1e-5 for i in range(40)],
    ],
)
@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_numbers_that_float32_does_not_tell_apart_are_refused(table, values, name):
    def raw(**columns):
        if name == "table.csv":
            return "\n".join(
                [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
            ).encode()
        buffer = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
        return buffer.getvalue().to_pybytes()

    labels = ["p", "q"] * (len(values) // 2)
    with pytest.raises(DataError, match=r"column 'n' has numbers so close .* float32.*subtract a number") as caught:
        table(raw=raw(n=values, m=list(range(len(values))), y=labels), name=name, label_column="y")
    assert caught.value.key == "data.columns.n"
    with pytest.raises(DataError, match=r"the label column 'y' has numbers so close .* float32"):
        table(raw=raw(n=list(range(len(values))), y=values), name=name, label_column="y", task="regression")
    centred = [value - values[0] for value in values]
    assert kinds_of(table(raw=raw(n=centred, y=labels), name=name, label_column="y"))["n"] in ("number", "integer")


def test_numbers_that_float32_tells_apart_are_numbers(table):
    year = [1_700_000_000_000 + 3_600_000 * i for i in range(400)]
    fine = np.random.default_rng(0).normal(size=400).tolist()
    rows = [f"{a},{b},{c},{'pq'[c % 2]}" for a, b, c in zip(year, fine, range(400), strict=True)]
    assert set(kinds_of(table("year,fine,count,y", *rows, label_column="y")).values()) == {"number"}


def test_labels_that_are_numbers_but_for_a_few_words_are_neither(table):
    rows = [f"{i},{'n.d.' if i == 7 else f'{i}.25'}" for i in range(60)]
    with pytest.raises(DataError, match=r"holds numbers in 59 of 60 rows, but also 'n\.d\.': .*data.task"):
        table("n,y", *rows, label_column="y")
    rows = [f"{i},{['0', '1', 'unknown'][i % 3]}" for i in range(60)]
    with pytest.raises(DataError, match=r"row 3 \(the label column 'y' is empty or 'unknown'.* with data.task: class"):
        table("n,y", *rows, label_column="y")
    prepared = table("n,y", *rows, label_column="y", task="classification")
    assert prepared.class_names == ("0", "1", "unknown")


def test_a_wide_table_is_prepared_with_few_open_files(tmp_path):
    """In a process of its own, whose limit it raises as far as it must."""
    rng = np.random.default_rng(0)
    names = [f"n{i}" for i in range(300)] + [f"c{i}" for i in range(300)]
    rows = [",".join([*(f"{v:.3f}" for v in rng.normal(size=300)), *"xy"[i % 2] * 300, "pq"[i % 2]]) for i in range(40)]
    (tmp_path / "wide.csv").write_text("\n".join([",".join([*names, "y"]), *rows]))
    program = """
import resource, sys
from pathlib import Path
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
from tuner.data.cache import prepare
from tuner.spec.data import Csv
folder = Path(sys.argv[1])
prepared = prepare(Csv(kind="csv", path=folder / "wide.csv", label_column="y"), folder / "cache")
print(len(prepared.inputs), len(prepared.split("train")), len(list(Path("/proc/self/fd").iterdir())) < 64)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("600 32 True\n", "")
