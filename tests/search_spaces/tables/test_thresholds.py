"""Where columns of numbers are worth dividing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search_spaces.tables.thresholds import MOST, thresholds_of
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.data.summary import summary_of


def test_the_threshold_that_tells_most_comes_first() -> None:
    x = np.arange(1000.0)
    y = np.select([x < 200, x < 250], [[[0.0]], [[9.0]]], [[[10.0]]]).reshape(-1, 1)
    found = thresholds_of(x, y, "numbers")
    assert found.telling[:2] == (199.5, 249.5)
    assert len(found.distinct) == MOST + 1


def test_classes_have_thresholds_of_their_own_and_missing_numbers_say_nothing() -> None:
    x = np.where(np.arange(300) % 3 == 0, np.nan, np.arange(300.0))
    found = thresholds_of(x, (np.arange(300) > 100).astype(int), "classes")
    assert found.telling == (100.5,)
    assert (found.distinct[0], found.distinct[-1]) == (1, 299)
    assert thresholds_of(np.full(5, np.nan), np.zeros(5, int), "classes").distinct == ()


def test_a_few_values_are_all_there_and_infinite_ones_are_cut_off() -> None:
    found = thresholds_of(np.array([0.0] * 50 + [3.0, np.inf, -np.inf]), np.zeros((53, 1)), "numbers")
    assert found.telling == ()
    assert found.distinct == (-np.finfo(np.float32).max, 0, 3, np.finfo(np.float32).max)


CLASSES = TargetFacts(task="classification", dtype="int64", class_names=("a", "b", "c"))
TARGETS: dict[str, tuple[Any, TargetFacts]] = {
    "classes": (np.digitize(np.arange(90), [30]), CLASSES),
    "one-hot classes": (
        np.eye(3)[np.digitize(np.arange(90), [30])],
        CLASSES.model_copy(update={"shape": (3,), "coding": "one_hot"}),
    ),
    "labels": (
        np.eye(3, dtype="float32")[np.digitize(np.arange(90), [30])],
        TargetFacts(task="multi_label", shape=(3,), dtype="float32", class_names=("a", "b", "c")),
    ),
    "numbers": (np.where(np.arange(90) < 30, 5.0, 7.0), TargetFacts(task="regression", dtype="float32")),
}


@pytest.mark.parametrize("name", TARGETS)
def test_thresholds_are_of_training_rows_alone_and_are_found_once(
    name: str, table_data: Callable[..., PreparedData]
) -> None:
    x = np.arange(90, dtype="float32")
    data = table_data({"x": x, "nothing": np.full(90, np.nan, "float32"), "word": ["a"] * 90}, *TARGETS[name])
    find = summary_of(data).find_thresholds
    assert find is not None
    found = find()
    assert set(found) == {"x"}
    assert found["x"].telling[0] == 29.5
    # The last third is for validation.
    assert found["x"].distinct[-1] == 59
    (kept,) = data.folder.glob("thresholds-*.json")
    written = kept.stat().st_mtime_ns
    assert find() == found
    assert kept.stat().st_mtime_ns == written
    kept.write_text("{")
    assert find() == found


def test_data_without_numbers_has_none(table_data: Callable[..., PreparedData]) -> None:
    assert summary_of(table_data({"word": ["a"] * 90}, *TARGETS["classes"])).find_thresholds is None
