from __future__ import annotations

from collections.abc import Callable

import pytest

from search_spaces.base import DataSummary


def summary_of(input_shape: tuple[int, ...], classes: int = 3, train: int = 96) -> DataSummary:
    """What is known about a made-up data set of images."""
    return DataSummary(
        kind="image_directory",
        task="classification",
        input_shape=input_shape,
        class_names=tuple(f"class {number}" for number in range(classes)),
        examples={"train": train, "validation": 24},
        class_counts=(train // classes,) * classes,
    )


@pytest.fixture
def summary() -> Callable[..., DataSummary]:
    return summary_of
