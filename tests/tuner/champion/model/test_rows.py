"""A file's cells mean the same to training, to predictions and to the proof, which has a reader of its own."""

import gzip

import numpy as np
import pytest

from search_spaces.statistics import INTEGER_MISSING
from tuner.champion.clean import columns as clean
from tuner.champion.model.table_rows import read_rows
from tuner.champion.model.tensors import data_input
from tuner.champion.prediction.json_lines import example_of
from tuner.data import cells
from tuner.data.cache import prepare
from tuner.data.columns import ArrayColumn, CategoryColumn, StringColumn
from tuner.spec.data import Csv

# Of a column of numbers, of integers, of categories and of texts.
NUMBERS = ["1.5", " 2 ", "", "-", "\\N", "Unknown", "1e-3", "\u00a0-.5\t", "NA", "+3."]
COMMAS = ["1,5", " 2 ", "", "-", "\\N", "Unknown", "1e-3", "\u00a0-,5\t", "NA", "-1.234,25"]
INTEGERS = ["1", " 2", "3.0", "", "-", "unknown", "+4", "1.", "NA", "9007199254740993"]
CATEGORIES = ["Rome", " Rome", "Rome\u3000", '"Rome "', "", "  ", "São Paulo", '"a\nb"', "-", "NA"]
TEXTS = ["a", " a ", "a  b", '" x"', "\tq", '"a ""b"""', "é", "-", "NA", "1,5"]


def a_file(folder, delimiter, end, name):
    numbers = NUMBERS if delimiter == "," else COMMAS
    texts = [each.replace("1,5", "1.5") if delimiter == "," else each for each in TEXTS]
    texts = [each.replace("\t", "") if delimiter == "\t" else each for each in texts]
    columns = [[each.replace("\t", "") if delimiter == "\t" else each for each in numbers], INTEGERS, CATEGORIES, texts]
    rows = [delimiter.join(column[(i * 7 + at) % 10] for at, column in enumerate(columns)) for i in range(40)]
    rows = [f"{row}{delimiter}{' ' * (i % 2)}{'pq'[i % 2]}" for i, row in enumerate(rows)]
    rows[20:20], rows[30:30] = ["", "   "], [delimiter.join("abc")]
    lines = ["", "  ", delimiter.join(["n", "i", '"the city"', "t", "y"]), *rows]
    content = b"\xef\xbb\xbf" + end.join(lines).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


def prepared_rows(prepared):
    found = {}
    for split in prepared.splits.values():
        for place, row in enumerate(split.origin.rows.tolist()):
            found[row] = [value_in(column, place) for column in split.inputs]
    return found


def value_in(column, place):
    if isinstance(column, ArrayColumn):
        return column.values[place].item()
    if isinstance(column, CategoryColumn):
        return column.vocabulary[column.codes[place]].encode()
    assert isinstance(column, StringColumn)
    return column.rows(np.array([place]))[0]


def same(one, other):
    return one == other or (one != one and other != other)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_training_predictions_and_the_proof_read_the_same(tmp_path, delimiter, end, name):
    file = a_file(tmp_path, delimiter, end, name)
    types = {"t": "text", "i": "integer", "n": "number"}
    spec = Csv(
        kind="csv", path=file, label_column="y", delimiter=delimiter, columns=types, on_error="skip", test_split=0.2
    )
    prepared = prepare(spec, tmp_path / "cache")
    trained = prepared_rows(prepared)
    assert sorted(trained) == [row for row in range(41) if row != 28]
    takes = data_input(spec, prepared, ())
    names = [each.tensor for each in takes.tensors]

    predicted, ragged = {}, []
    for piece in read_rows(file, takes, lambda place, count: ragged.append(place)):
        assert not piece.problems
        for index, place in enumerate(piece.places.tolist()):
            predicted[place] = [piece.values[name][index] for name in names]
    assert ragged == [28]

    np.save(tmp_path / "rows.npy", np.array(sorted(trained)))
    described = {
        "csv": str(file),
        "delimiter": delimiter,
        "rows": str(tmp_path / "rows.npy"),
        "columns": {each.tensor: {"name": each.name, "kind": each.kind} for each in takes.tensors},
    }
    proven, count = clean.raw_columns(described)
    assert count == 40
    for at, row in enumerate(sorted(trained)):
        raw = [proven[name](at, at + 1)[0] for name in names]
        raw[0] = np.float32(raw[0]).item()
        assert all(map(same, trained[row], raw)), (row, trained[row], raw)
        assert all(map(same, trained[row], predicted[row])), (row, trained[row], predicted[row])
    assert {row[1] for row in trained.values()} == {1, 2, 3, 4, 9007199254740993, INTEGER_MISSING}
    assert {row[2] for row in trained.values()} == {"São Paulo".encode(), b"Rome", b"", b"a\nb", b"-", b"NA"}

    line = b'{"n": 1.5, "i": 2, "the city": " Rome ", "t": " a "}'
    assert list(example_of(line, takes).tensors.values()) == [1.5, 2, b"Rome", b" a "]


def test_the_proof_knows_what_stands_for_a_missing_number():
    assert clean.MISSING_NUMBERS == cells.MISSING_NUMBERS
    assert len(set(cells.MISSING_NUMBERS)) == len(cells.MISSING_NUMBERS)
