"""Several splits as one to train on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tuner.data.columns import ArrayColumn, CategoryColumn, StringColumn
from tuner.data.joining import joined
from tuner.data.prepared import InputFacts, PreparedData, RowOrigin, Split, TargetFacts, WeightFacts

_INPUTS = (
    InputFacts(name="size", kind="number", dtype="float32", statistics={"mean": 1.0}),
    InputFacts(name="words", kind="text", column="strings", dtype="string"),
    InputFacts(name="colour", kind="category", column="categories", dtype="string"),
)


def _split(name: str, first: int, words: list[bytes], vocabulary: tuple[str, ...]) -> Split:
    ends = np.cumsum([0, *map(len, words)], dtype=np.int64)
    count = len(words)
    return Split(
        name,
        (
            ArrayColumn(np.arange(first, first + count, dtype=np.float32)),
            StringColumn(np.frombuffer(b"".join(words), np.uint8), ends),
            CategoryColumn(np.arange(count, dtype=np.int32) % len(vocabulary), vocabulary),
        ),
        (np.arange(count, dtype=np.int64) % 2,),
        (),
        RowOrigin("/somewhere.csv", np.arange(first, first + count)),
    )


def _data(folder: Path) -> PreparedData:
    train = _split("train", 0, [b"a", b"bc", b""], ("red", "blue"))
    validation = _split("validation", 10, [b"def", b"g"], ("blue", "green"))
    return PreparedData(
        folder=folder,
        fingerprint="f" * 64,
        kind="csv",
        inputs=_INPUTS,
        targets=(TargetFacts(task="classification", dtype="int64", class_names=("no", "yes")),),
        splits={"train": train, "validation": validation},
        structure="dict",
    )


def test_columns_of_every_kind_follow_each_other(tmp_path: Path) -> None:
    data = _data(tmp_path / "prepared")
    both = joined(data, ("train", "validation"), tmp_path)
    train = both.split("train")
    numbers, texts, colours = train.inputs
    assert isinstance(numbers, ArrayColumn) and isinstance(texts, StringColumn) and isinstance(colours, CategoryColumn)
    assert numbers.values.tolist() == [0, 1, 2, 10, 11]
    assert texts.rows(np.arange(5)).tolist() == [b"a", b"bc", b"", b"def", b"g"]
    assert [colours.vocabulary[code] for code in colours.codes] == ["red", "blue", "red", "blue", "green"]
    assert train.targets[0].tolist() == [0, 1, 0, 0, 1]
    assert train.weights == ()
    assert isinstance(train.origin, RowOrigin) and train.origin.rows.tolist() == [0, 1, 2, 10, 11]
    assert both.inputs[0].statistics == {"mean": 1.0}
    assert both.split("validation") is data.split("validation")
    assert both.class_counts("train") == (3, 2)


def test_weights_follow_each_other_too(tmp_path: Path) -> None:
    data = _data(tmp_path / "prepared")
    splits = {
        name: replace(split, weights=(np.full((len(split), 2), place, np.float32),))
        for place, (name, split) in enumerate(data.splits.items())
    }
    both = joined(replace(data, splits=splits, weights=(WeightFacts(shape=(2,)),)), ("train", "validation"), tmp_path)
    (weights,) = both.split("train").weights
    assert weights.tolist() == [[0, 0]] * 3 + [[1, 1]] * 2
