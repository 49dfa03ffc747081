"""Summarises prepared data for search spaces."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tuner.data.prepared import PreparedData
from tuner.data.splits import TRAIN
from tuner.data.statistics import input_statistics, target_statistics
from tuner.data.thresholds import can_find_thresholds, find_thresholds
from tuner.data.token_counts import count_tokens

if TYPE_CHECKING:
    from search_spaces.base import DataSummary


def summary_of(data: PreparedData) -> DataSummary:
    """What a search space is told about data. Imports Keras: for trial processes only."""
    from search_spaces.base import DataSummary, Input, Target

    texts = [index for index, each in enumerate(data.inputs) if each.kind == "text"]
    return DataSummary(
        kind=data.kind,
        inputs=tuple(
            Input(
                name=each.name,
                kind=each.kind,  # type: ignore[arg-type]
                shape=each.shape,
                dtype=each.dtype,
                statistics=input_statistics(each.kind, each.statistics),
            )
            for each in data.inputs
        ),
        targets=tuple(
            Target(
                name=each.name,
                task=each.task,  # type: ignore[arg-type]  # meta.json holds nothing else
                shape=each.shape,
                dtype=each.dtype,
                class_names=each.class_names,
                class_counts=data.class_counts(TRAIN, index),
                statistics=target_statistics(each.statistics),
            )
            for index, each in enumerate(data.targets)
        ),
        structure=data.structure,
        target_structure=data.target_structure,
        examples={name: len(split) for name, split in data.splits.items()},
        count_tokens=partial(count_tokens, data, texts[0]) if len(texts) == 1 else None,
        find_thresholds=partial(find_thresholds, data) if can_find_thresholds(data) else None,
    )
