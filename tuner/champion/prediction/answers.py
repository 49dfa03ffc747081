"""What a model's outputs say about each example, in the words of its task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tuner.champion.prediction.messages import ExampleAnswer

# A label is given to an example if it is more probable than not.
_LIKELY = 0.5


def keys_of(outputs: Collection[str], task: str) -> tuple[str, ...]:
    """The keys that ``answers_of`` such outputs have."""
    if "probabilities" in outputs and task == "classification":
        return ("label", "probability")
    return ("labels",) if "probabilities" in outputs and task == "multi_label" else ("value",)


def answers_of(outputs: Mapping[str, Any], task: str, class_names: Sequence[str]) -> list[ExampleAnswer]:
    """One answer per example.

    Args:
        outputs: of ``serving_default``, arrays (batch, ...).
        task: the champion's.

    Returns:
        ``label`` and ``probability`` of the most probable class; ``labels``, the likely ones with their probabilities;
        or ``value``: a number, nested lists, or a dict of them by output.
    """
    keys = keys_of(outputs, task)
    if keys == ("label", "probability"):
        return [
            {"label": class_names[column], "probability": float(row[column])}
            for row in outputs["probabilities"]
            for column in (int(row.argmax()),)
        ]
    if keys == ("labels",):
        return [
            {"labels": {class_names[i]: float(row[i]) for i in np.flatnonzero(row > _LIKELY).tolist()}}
            for row in outputs["probabilities"]
        ]
    given = {name: [_plain(row) for row in values] for name, values in outputs.items()}
    if len(given) == 1:
        return [{"value": value} for value in next(iter(given.values()))]
    return [{"value": dict(zip(given, row, strict=True))} for row in zip(*given.values(), strict=True)]


def _plain(values: Any) -> Any:
    """A number for a single one, else nested lists."""
    array = np.asarray(values)
    if array.dtype.kind in "SO":
        return [item.decode("utf-8", "replace") for item in array.reshape(-1)]
    return array.reshape(-1)[0].item() if array.size == 1 else array.tolist()
