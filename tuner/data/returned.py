"""What a function of the user's may return as data, read as batches: arrays, tf.data datasets and PyDatasets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.errors import DataError

_ROWS = 1024
_SPLITS = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": TEST}
_ALLOWED = (
    "a data set, or (train, validation), (train, validation, test) or a dict of these; a data set is (x, y) or "
    "(x, y, weights) of arrays (or of tuples or dicts of arrays), a tf.data.Dataset or a keras.utils.PyDataset"
)

# x, y (None without labels) and weights (None where all weigh the same); each an array, or a tuple or dict of arrays.
Batch = tuple[Any, Any, Any]


def splits_of(returned: Any) -> dict[str, Any]:
    """The data sets by split; ``train`` always.

    Raises:
        DataError: it is none of what is allowed.
    """
    if isinstance(returned, Mapping) and "train" in returned and set(returned) <= set(_SPLITS):
        return {_SPLITS[name]: each for name, each in returned.items() if each is not None}
    if isinstance(returned, tuple | list) and returned and all(_is_data_set(each) for each in returned):
        if len(returned) > len(set(_SPLITS.values())):
            raise DataError(f"{len(returned)} data sets were returned; allowed are {_ALLOWED}")
        return dict(zip((TRAIN, VALIDATION, TEST), returned, strict=False))
    if returned is None:
        raise DataError(f"nothing was returned; allowed are {_ALLOWED}")
    return {TRAIN: returned}


def batches(data_set: Any) -> Iterator[Batch]:
    """The examples of a data set, in order.

    Raises:
        DataError: it is endless, or none of what is allowed.
    """
    if _is_tf_dataset(data_set):
        return _tf_batches(data_set)
    if _is_py_dataset(data_set):
        return _py_batches(data_set)
    return _slices(_unpacked(data_set))


def _is_data_set(value: Any) -> bool:
    return isinstance(value, tuple) or _is_tf_dataset(value) or _is_py_dataset(value)


def _is_tf_dataset(value: Any) -> bool:
    # Whoever returns one has imported TensorFlow.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(value, tensorflow.data.Dataset)


def _is_py_dataset(value: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.utils.PyDataset)


def _unpacked(element: Any) -> Batch:
    parts = element if isinstance(element, tuple) else (element,)
    if not 1 <= len(parts) <= 3:
        raise DataError(f"{len(parts)} parts were returned where x, y and weights are expected; allowed are {_ALLOWED}")
    x, y, weights = (*parts, None, None)[:3]
    return x, y, weights


def _slices(parts: Batch) -> Iterator[Batch]:
    arrays = tuple(_mapped(part, _array) for part in parts)
    lengths = {_length(each) for part in arrays for each in leaves(part)}
    if len(lengths) > 1:
        raise DataError(f"the arrays of a data set differ in length: {', '.join(map(str, sorted(lengths)))}")
    for start in range(0, max(lengths, default=0), _ROWS):
        x, y, weights = (_mapped(part, itemgetter(slice(start, start + _ROWS))) for part in arrays)
        yield x, y, weights


def _array(value: Any) -> Any:
    """Arrays are sliced as they are; what has no shape is made one."""
    return value if hasattr(value, "shape") else np.asarray(value)


def _length(array: Any) -> int:
    if not len(array.shape):
        raise DataError(f"{type(array).__name__} is not an array of examples; allowed are {_ALLOWED}")
    return int(array.shape[0])


def _tf_batches(data_set: Any) -> Iterator[Batch]:
    tensorflow = sys.modules["tensorflow"]
    if data_set.cardinality() == tensorflow.data.INFINITE_CARDINALITY:
        raise DataError("the tf.data.Dataset is endless: leave out repeat(), every epoch starts it again")
    specs = tensorflow.nest.flatten(data_set.element_spec)
    if not all(isinstance(spec, tensorflow.TensorSpec) for spec in specs):
        raise DataError("the tf.data.Dataset has ragged or sparse elements: make tensors of them")
    if not _batched(specs):
        data_set = data_set.batch(_ROWS)
    for element in data_set.as_numpy_iterator():
        yield _unpacked(element)


def _batched(specs: Sequence[Any]) -> bool:
    """Whether elements are batches: all have a first dimension, unknown, or known (``drop_remainder``) and equal."""
    if any(spec.shape.rank == 0 for spec in specs):
        return False
    first = {spec.shape[0] if spec.shape.rank else None for spec in specs}
    return first == {None} or (len(specs) > 1 and len(first) == 1)


def _py_batches(data_set: Any) -> Iterator[Batch]:
    count = data_set.num_batches
    if count is None:
        raise DataError("the PyDataset is endless: let its __len__ (or num_batches) give the number of batches")
    for index in range(count):
        yield _unpacked(data_set[index])


def _mapped(part: Any, function: Callable[[Any], Any]) -> Any:
    """Applies a function to every array of x, y or the weights."""
    if part is None:
        return None
    if isinstance(part, Mapping):
        return {str(name): function(each) for name, each in part.items()}
    return tuple(function(each) for each in part) if isinstance(part, tuple) else function(part)


def leaves(part: Any) -> list[Any]:
    """The arrays of x, y or the weights, in order."""
    if part is None:
        return []
    if isinstance(part, Mapping):
        return list(part.values())
    return list(part) if isinstance(part, tuple) else [part]


def structure_of(part: Any) -> tuple[str, tuple[str, ...]]:
    """How the arrays of x or y are arranged, and their names; none for None."""
    if part is None:
        return "single", ()
    if isinstance(part, Mapping):
        return "dict", tuple(str(name) for name in part)
    return ("tuple", tuple(str(place) for place in range(len(part)))) if isinstance(part, tuple) else ("single", ("",))
