"""How alike the data of two studies is, by what their launches recorded of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import mean
from typing import Any

Description = Mapping[str, Any]


def likeness_of_data(one: Description, other: Description) -> float:
    """From 0, nothing in common, to 1, the same data.

    The mean of three shares: of the inputs, by name and kind, those that both have; of the classes or targets likewise;
    and the smaller number of training examples by the larger one. Data of another kind or task has nothing in common.

    Args:
        one, other: what ``PreparedData.describe`` gives.
    """
    if one["fingerprint"] == other["fingerprint"]:
        return 1.0
    if any(one[key] != other[key] for key in ("kind", "task")):
        return 0.0
    sizes = [each["splits"]["train"]["examples"] for each in (one, other)]
    return mean(
        [
            _shared(_inputs(one), _inputs(other)),
            _shared(_learned(one), _learned(other)),
            min(sizes) / max(sizes) if max(sizes) else 1.0,
        ]
    )


def _inputs(data: Description) -> set[tuple[str, str]]:
    return {(each["name"], each["kind"]) for each in data["inputs"]}


def _learned(data: Description) -> set[tuple[str, str]]:
    return {(each["name"], name) for each in data["targets"] for name in each["class_names"] or ("",)}


def _shared(one: Collection[Any], other: Collection[Any]) -> float:
    """Jaccard's index."""
    both = {*one, *other}
    return len({*one} & {*other}) / len(both) if both else 1.0
