from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search_spaces.base import DataSummary
from search_spaces.statistics import INTEGER_MISSING
from tuner.data.prepared import PreparedData, TargetFacts

ROWS = 60


@pytest.fixture
def summary(image_summary: Callable[..., DataSummary]) -> Callable[..., DataSummary]:
    """What is known about a made-up data set of images."""

    def make(input_shape: tuple[int, ...], classes: int = 3, train: int = 96) -> DataSummary:
        names = tuple(f"class {number}" for number in range(classes))
        return image_summary(input_shape, names, {"train": train, "validation": 24}, (train // classes,) * classes)

    return make


@pytest.fixture
def table(table_data: Callable[..., PreparedData]) -> Callable[..., PreparedData]:
    """``table(task)``: sixty rows of numbers, integers and categories, some missing, and a target that they decide.

    The names are what people call columns.
    """

    def make(task: str = "two classes") -> PreparedData:
        draw = np.random.default_rng(0)
        number = draw.normal(50, 20, ROWS).astype("float32")
        gaps = np.where(draw.random(ROWS) < 0.3, np.nan, draw.exponential(1000, ROWS)).astype("float32")
        integer = draw.integers(1, 4, ROWS)
        integer[draw.random(ROWS) < 0.2] = INTEGER_MISSING
        columns = {
            "amount (€)": number,
            "km/h": gaps,
            "rooms": integer,
            "Straße": draw.choice(["Allee", "Weg", "Gasse", ""], ROWS).tolist(),
            "customer id": [f"c{value}" for value in draw.integers(0, 30, ROWS)],
        }
        return table_data(columns, *_target(task, number, integer))

    return make


def _target(task: str, number: Any, integer: Any) -> tuple[Any, TargetFacts]:
    if task == "regression":
        values = (1000 + 3 * number).astype("float32")
        statistics = {"mean": [float(values.mean())], "variance": [float(values.var())]}
        return values, TargetFacts(task="regression", dtype="float32", statistics=statistics)
    if task == "labels":
        labels = np.stack([number > 50, integer == 2, integer == 3], axis=1).astype("float32")
        return labels, TargetFacts(task="multi_label", shape=(3,), dtype="float32", class_names=("a", "b", "c"))
    classes = 3 if task == "three classes" else 2
    names = ("a", "b", "c")[:classes]
    values = np.digitize(number, [45, 60][: classes - 1]).astype("int64")
    return values, TargetFacts(task="classification", dtype="int64", class_names=names)
