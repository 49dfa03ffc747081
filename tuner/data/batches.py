"""Batches for training and evaluation, as ``tf.data`` pipelines over prepared data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tuner.data.columns import ArrayColumn, Column, StringColumn
from tuner.data.permutation import permutation
from tuner.data.prepared import PreparedData, Split, TargetFacts

if TYPE_CHECKING:
    from search_spaces.base import Labels

# The columns of a smaller split are gathered in memory without Python; those of a larger one stay in the page cache,
# which the trials of a node share.
IN_MEMORY_BYTES = 256 * 2**20
_PREFETCHED_BATCHES = 2
# AutoGraph would rewrite each function in every trial, for control flow that none of them has.
_as_it_is = tf.autograph.experimental.do_not_convert

_Read = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class BatchFormat:
    """How examples become batches: the same for the training and the evaluation of a trial.

    A batch is ``x``, ``(x, y)`` or ``(x, y, weights)``: float32 (batch, height, width, channels) in [0, 255] for
    images, see ``search_spaces.base.Input`` for the other kinds; where the data has several inputs or targets, tuples
    or dicts of them. Classes are int64 (batch,) or one-hot float32 (batch, classes).

    Attributes:
        labels: ``integer`` or ``one_hot``: how classes come.
        preprocessing: applied to ``x`` ahead of the accelerator, such as the first stage of a ``StagedModel``.
        class_weights: shape (classes,): weights of training examples by their class.
        in_memory_bytes: a split with less than this is held in memory.
        columns: the inputs of a dict that come, by name; None for all.
    """

    labels: Labels = "integer"
    preprocessing: Callable[[Any], Any] | None = None
    class_weights: tuple[float, ...] | None = None
    in_memory_bytes: int = IN_MEMORY_BYTES
    columns: tuple[str, ...] | None = None


class TrainingBatches:
    """Shuffled batches of a split; the order depends on the seed and the epoch alone.

    A trial that resumes at an epoch sees the batches that it would have seen. Whoever trains sets
    ``epoch`` before each epoch starts (in ``on_epoch_begin``, Keras has not yet asked for data).

    Args:
        data: the prepared data.
        batch_size: examples per batch; the last batch of an epoch may be smaller.
        seed: non-negative.
        form: how examples become batches.
        split: the split's name.

    Attributes:
        dataset: yields batches, see ``BatchFormat``. Its cardinality is known.
    """

    def __init__(self, data: PreparedData, batch_size: int, seed: int, form: BatchFormat, split: str = "train") -> None:
        chosen = data.split(split)
        self._length = len(chosen)
        self._seed = seed
        self._epoch = 0
        # One call into Python per epoch, at its first batch.
        order = tf.data.Dataset.from_generator(
            self._orders, output_signature=tf.TensorSpec((self._length,), tf.int64)
        ).flat_map(_as_it_is(lambda rows: tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)))
        self.dataset = _batches(data, chosen, order, batch_size, form, form.class_weights)

    @property
    def epoch(self) -> int:
        """The epoch, from 0, whose order the next iteration over ``dataset`` gives."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        if epoch < 0:
            raise ValueError(f"epochs count from 0, not {epoch}")
        self._epoch = int(epoch)

    def _orders(self) -> Iterator[npt.NDArray[np.int64]]:
        yield permutation(self._length, self._seed, self._epoch)


def evaluation_batches(
    data: PreparedData, batch_size: int, form: BatchFormat, split: str = "validation"
) -> tf.data.Dataset:
    """All examples of a split in its order; without the class weights of training."""
    chosen = data.split(split)
    order = tf.data.Dataset.range(len(chosen)).batch(batch_size)
    return _batches(data, chosen, order, batch_size, form, None)


def _batches(
    data: PreparedData,
    split: Split,
    order: tf.data.Dataset,
    batch_size: int,
    form: BatchFormat,
    class_weights: Sequence[float] | None,
) -> tf.data.Dataset:
    """Batches of rows for a dataset of batches of indices."""
    limit = form.in_memory_bytes if _bytes_of(split) < form.in_memory_bytes else 0
    inputs = {
        facts.name: _as_given(facts.kind, _reader(column, limit))
        for facts, column in zip(data.inputs, split.inputs, strict=True)
        if form.columns is None or facts.name in form.columns
    }
    targets = [
        _target(facts, _array_reader(values, limit), form.labels)
        for facts, values in zip(data.targets, split.targets, strict=True)
    ]
    weights = _weights(split, class_weights, limit)
    x_names, y_names = list(inputs), [each.name for each in data.targets]

    @_as_it_is
    def rows(indices: tf.Tensor) -> Any:
        x = in_structure(data.structure, x_names, [read(indices) for read in inputs.values()])
        if not targets:
            return (x,)
        y = in_structure(data.target_structure, y_names, [read(indices) for read in targets])
        return (x, y) if weights is None else (x, y, weights(indices))

    known = tf.data.experimental.assert_cardinality(-(-len(split) // batch_size))
    batches = order.map(rows)
    if form.preprocessing is not None:
        batches = batches.map(_on_first(form.preprocessing), num_parallel_calls=tf.data.AUTOTUNE)
    return batches.apply(known).prefetch(_PREFETCHED_BATCHES)


def _bytes_of(split: Split) -> int:
    arrays = [*split.targets, *([] if split.weights is None else [split.weights])]
    for column in split.inputs:
        if isinstance(column, ArrayColumn):
            arrays.append(column.values)
        else:
            arrays.append(column.content if isinstance(column, StringColumn) else column.codes)
    return sum(array.nbytes for array in arrays)


def _on_first(preprocessing: Callable[[Any], Any]) -> Callable[..., Any]:
    return _as_it_is(lambda x, *rest: (preprocessing(x), *rest))


def in_structure(structure: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    """Values as models take them: the only one, or a tuple or dict of them."""
    if structure == "single":
        return values[0]
    return tuple(values) if structure == "tuple" else dict(zip(names, values, strict=True))


def _as_given(kind: str, read: _Read) -> _Read:
    return _as_it_is(lambda indices: tf.cast(read(indices), tf.float32)) if kind == "image" else read


def _target(facts: TargetFacts, read: _Read, labels: Labels) -> _Read:
    if facts.task == "classification" and labels == "one_hot":
        classes = len(facts.class_names)
        return _as_it_is(lambda indices: tf.one_hot(read(indices), classes, dtype=tf.float32))
    return read


def _weights(split: Split, class_weights: Sequence[float] | None, limit: int) -> _Read | None:
    """The weights of examples: their own times their class's."""
    own = None if split.weights is None else _array_reader(split.weights, limit)
    if class_weights is None:
        return own
    by_class = tf.constant(class_weights, dtype=tf.float32)
    classes = _array_reader(split.targets[0], limit)

    @_as_it_is
    def weigh(indices: tf.Tensor) -> tf.Tensor:
        weight = tf.gather(by_class, classes(indices))
        return weight if own is None else weight * own(indices)

    return weigh


def _reader(column: Column, limit: int) -> _Read:
    """A function from indices, int64 (batch,), to a column's values."""
    if isinstance(column, ArrayColumn):
        return _array_reader(column.values, limit)
    if isinstance(column, StringColumn):
        return _string_reader(column, limit)
    with tf.device("/CPU:0"):
        vocabulary = tf.constant(list(column.vocabulary) or [""])
    codes = _array_reader(column.codes, limit)
    return _as_it_is(lambda indices: tf.gather(vocabulary, codes(indices)))


def _array_reader(values: npt.NDArray[Any], limit: int) -> _Read:
    if values.nbytes < limit:
        with tf.device("/CPU:0"):
            held = tf.constant(values)
        return _as_it_is(lambda indices: tf.gather(held, indices))
    dtype, shape = tf.as_dtype(values.dtype), values.shape[1:]

    @_as_it_is
    def read(indices: tf.Tensor) -> tf.Tensor:
        chosen = tf.numpy_function(lambda rows: values[rows], [indices], dtype, stateful=False)
        return tf.ensure_shape(chosen, (None, *shape))

    return read


def _string_reader(column: StringColumn, limit: int) -> _Read:
    if column.content.nbytes < limit:
        with tf.device("/CPU:0"):
            held = tf.constant(column.rows(np.arange(len(column))))
        return _as_it_is(lambda indices: tf.gather(held, indices))

    @_as_it_is
    def read(indices: tf.Tensor) -> tf.Tensor:
        chosen = tf.numpy_function(column.rows, [indices], tf.string, stateful=False)
        return tf.ensure_shape(chosen, (None,))

    return read
