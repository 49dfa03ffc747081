from __future__ import annotations

from collections.abc import Callable

import pytest

from search_spaces.base import DataSummary


@pytest.fixture
def summary(image_summary: Callable[..., DataSummary]) -> Callable[..., DataSummary]:
    """What is known about a made-up data set of images."""

    def make(input_shape: tuple[int, ...], classes: int = 3, train: int = 96) -> DataSummary:
        names = tuple(f"class {number}" for number in range(classes))
        return image_summary(input_shape, names, {"train": train, "validation": 24}, (train // classes,) * classes)

    return make
