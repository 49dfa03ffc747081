"""What a function of the user's may return as data, read as batches: arrays, tf.data datasets and PyDatasets."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from tuner.data.elements import are_batches
from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.data.structures import is_nested, leaves, mapped, structure_of
from tuner.errors import DataError

_ROWS = 1024
_SPLITS = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": TEST}
_ALLOWED = (
    "a data set, or (train, validation), (train, validation, test) or a dict of these; a data set is (x, y) or "
    "(x, y, weights) of arrays (or of tuples or dicts of arrays), a tf.data.Dataset or a keras.utils.PyDataset"
)

# x, y (None without labels) and weights (None where all weigh the same); each an array, or tuples and dicts of arrays.
Batch = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Read:
    """A data set as it is read.

    Attributes:
        batches: the examples, in order.
        from_arrays: it is arrays, whose floats Keras turns into float32; elsewhere they stay what they are.
        wrapped: x alone reaches a model's ``train_step`` as ``(x,)``.
        notes: what was decided about it, for people.
    """

    batches: Iterator[Batch]
    from_arrays: bool
    wrapped: bool
    notes: tuple[str, ...] = ()


def splits_of(returned: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The data sets by split, ``train`` always, and what was decided about them, for people.

    Raises:
        DataError: it is none of what is allowed, or could be two things.
    """
    if isinstance(returned, Mapping) and "train" in returned and set(returned) <= set(_SPLITS):
        return {_SPLITS[name]: each for name, each in returned.items() if each is not None}, ()
    if isinstance(returned, tuple | list) and returned and all(_is_data_set(each) for each in returned):
        if all(isinstance(each, tuple) for each in returned) and not _are_splits(returned):
            return {TRAIN: tuple(returned)}, (
                f"the {len(returned)} tuples that were returned are x and y{' and weights' * (len(returned) > 2)} of "
                "one data set, for they are of one length and not of the same shapes and dtypes",
            )
        if len(returned) > len(set(_SPLITS.values())):
            raise DataError(f"{len(returned)} data sets were returned; allowed are {_ALLOWED}")
        return dict(zip((TRAIN, VALIDATION, TEST), returned, strict=False)), ()
    if returned is None:
        raise DataError(f"nothing was returned; allowed are {_ALLOWED}")
    return {TRAIN: returned}, ()


def read(data_set: Any, batched: bool | None = None) -> Read:
    """The examples of a data set.

    Args:
        batched: whether the elements of a ``tf.data.Dataset`` are batches; None finds out.

    Raises:
        DataError: it is endless, or none of what is allowed, or what its elements are cannot be told.
    """
    if _is_tf_dataset(data_set):
        return _tf_batches(data_set, batched)
    if _is_py_dataset(data_set):
        return Read(_py_batches(data_set), from_arrays=False, wrapped=True)
    # A list of arrays that a function returns is meant as x, y and weights, as the tuple is.
    x, y, weights = _unpacked(tuple(data_set) if isinstance(data_set, list) and is_nested(data_set) else data_set)
    return Read(_slices((x, y, weights)), from_arrays=True, wrapped=isinstance(x, tuple | list))


def _is_data_set(value: Any) -> bool:
    return isinstance(value, tuple) or _is_tf_dataset(value) or _is_py_dataset(value)


def _is_tf_dataset(value: Any) -> bool:
    # Whoever returns one has imported TensorFlow.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(value, tensorflow.data.Dataset)


def _is_py_dataset(value: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.utils.PyDataset)


def _are_splits(parts: Sequence[Any]) -> bool:
    """Whether tuples of arrays are the data sets of splits, rather than the x, y and weights of one.

    Raises:
        DataError: they could be either.
    """
    arrays = [mapped(part, _array) for part in parts]
    if not 2 <= len(parts) <= 3:
        return True
    lengths = {_length(leaf) for part in arrays for leaf in leaves(part)}
    if len(lengths) > 1:
        return True
    alike = all(_kinds(part) == _kinds(arrays[0]) for part in arrays)
    if alike:
        raise DataError(
            f"{len(parts)} tuples of arrays were returned that are all of one length and alike: they may be the x and "
            "y of one data set, or the data sets of train and validation. Return {'train': (x, y)} or "
            "{'train': (x, y), 'validation': (x, y)}"
        )
    return False


def _kinds(part: Any) -> Any:
    known = tuple(each for each in part if each is not None)
    return structure_of(known), [(tuple(leaf.shape[1:]), str(leaf.dtype)) for leaf in leaves(part)]


def _unpacked(element: Any) -> Batch:
    parts = element if isinstance(element, tuple) else (element,)
    if not 1 <= len(parts) <= 3:
        raise DataError(f"{len(parts)} parts were returned where x, y and weights are expected; allowed are {_ALLOWED}")
    x, y, weights = (*parts, None, None)[:3]
    return x, y, weights


def _slices(parts: Batch) -> Iterator[Batch]:
    arrays = tuple(mapped(part, _array) for part in parts)
    lengths = {_length(each) for part in arrays for each in leaves(part)}
    if len(lengths) > 1:
        raise DataError(f"the arrays of a data set differ in length: {', '.join(map(str, sorted(lengths)))}")
    for start in range(0, max(lengths, default=0), _ROWS):
        x, y, weights = (mapped(part, itemgetter(slice(start, start + _ROWS))) for part in arrays)
        yield x, y, weights


def _array(value: Any) -> Any:
    """Arrays are sliced as they are; what has no shape is made one, and pandas has its own ways of slicing."""
    sliceable = hasattr(value, "shape") and not hasattr(value, "to_numpy")
    return value if sliceable else np.asarray(value)


def _length(array: Any) -> int:
    if not len(array.shape):
        raise DataError(f"{type(array).__name__} is not an array of examples; allowed are {_ALLOWED}")
    return int(array.shape[0])


def _tf_batches(data_set: Any, batched: bool | None) -> Read:
    tensorflow = sys.modules["tensorflow"]
    if data_set.cardinality() == tensorflow.data.INFINITE_CARDINALITY:
        raise DataError("the tf.data.Dataset is endless: leave out repeat(), every epoch starts it again")
    specs = tensorflow.nest.flatten(data_set.element_spec)
    if not all(isinstance(spec, tensorflow.TensorSpec) for spec in specs):
        raise DataError("the tf.data.Dataset has ragged or sparse elements: make tensors of them")
    shapes = [None if spec.shape.rank is None else tuple(spec.shape) for spec in specs]
    decided, note = are_batches(data_set, shapes) if batched is None else (batched, "")
    chosen = data_set if decided else data_set.batch(_ROWS)
    elements = (_unpacked(element) for element in chosen.as_numpy_iterator())
    wrapped = isinstance(data_set.element_spec, tuple)
    return Read(elements, from_arrays=False, wrapped=wrapped, notes=(note,) if note else ())


def _py_batches(data_set: Any) -> Iterator[Batch]:
    count = data_set.num_batches
    if count is None:
        raise DataError("the PyDataset is endless: let its __len__ (or num_batches) give the number of batches")
    for index in range(count):
        element = data_set[index]
        yield _unpacked(tuple(element) if isinstance(element, list) else element)
