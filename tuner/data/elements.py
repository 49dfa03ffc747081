"""Whether the elements of a tf.data dataset are batches or single examples: by how it was made, and by its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from tuner.errors import DataError

_SETTLED = "data.batched: true or false in the spec settles it"
# By what TensorFlow calls the classes of its datasets, and by what people call the methods that make them.
_BATCHING = {
    "_BatchDataset": "batch",
    "_ParallelBatchDataset": "batch",
    "_PaddedBatchDataset": "padded_batch",
    "_GroupByWindowDataset": "group_by_window",
    "_MapAndBatchDataset": "map_and_batch",
    "_RebatchDataset": "rebatch",
    "_DenseToRaggedDataset": "ragged_batch",
    "_TensorDataset": "from_tensors",
}
_SINGLE = {
    "_UnbatchDataset": "unbatch",
    "_TensorSliceDataset": "from_tensor_slices",
    "_RangeDataset": "range",
    "_RandomDataset": "random",
}
# Its first input chooses among the others.
_CHOOSING = "_DirectedInterleaveDataset"
# Elements come out of these as some inner dataset or function of the user's makes them.
_UNKNOWN = frozenset({"_FlatMapDataset", "_InterleaveDataset", "_ParallelInterleaveDataset"})

Found = tuple[Literal["batches", "examples"], str] | None


def are_batches(data_set: Any, shapes: Sequence[tuple[int | None, ...] | None]) -> tuple[bool, str]:
    """Whether each element is a batch, and why that was decided, for people.

    Args:
        shapes: of an element's tensors; None where even the number of dimensions is unknown.

    Raises:
        DataError: it cannot be told.
    """
    first = {shape[0] if shape else None for shape in shapes if shape is not None}
    if any(shape == () for shape in shapes):
        return False, ""
    found = _made_by(data_set)
    if found is None:
        raise DataError(
            "it cannot be told whether the elements of the tf.data.Dataset are batches or single examples: they come "
            f"from a function or a file, and their shapes are {', '.join(map(_shown, shapes))}. {_SETTLED}"
        )
    kind, method = found
    if kind == "batches" and len(first - {None}) > 1:
        raise DataError(
            f"the elements of the tf.data.Dataset come from {method}(), but their shapes "
            f"{', '.join(map(_shown, shapes))} have different first dimensions, as batches have not. {_SETTLED}"
        )
    if kind == "batches":
        return True, f"its elements are batches, made by {method}(); data.batched says otherwise"
    return False, f"each element is one example, for {method}() was followed by no batch(); data.batched says otherwise"


def _shown(shape: tuple[int | None, ...] | None) -> str:
    return "unknown" if shape is None else f"({', '.join('any' if size is None else str(size) for size in shape)})"


def _made_by(data_set: Any) -> Found:
    """What the last step says that made batches or took them apart; None if it may be either."""
    name = type(data_set).__name__
    if name in _BATCHING:
        return "batches", _BATCHING[name]
    if name in _SINGLE:
        return "examples", _SINGLE[name]
    if name in _UNKNOWN:
        return None
    inner = [_made_by(each) for each in data_set._inputs()[name == _CHOOSING :]]
    kinds = {found[0] if found else None for found in inner}
    return inner[0] if len(kinds) == 1 else None
