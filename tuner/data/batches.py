"""Batches for training and evaluation, as ``tf.data`` pipelines over prepared data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tuner.data.classes import class_values
from tuner.data.columns import ArrayColumn, Column, StringColumn
from tuner.data.permutation import permutation
from tuner.data.pipeline_options import PREFETCHED_BATCHES, parallel_calls, with_fixed_parallelism
from tuner.data.prepared import InputFacts, PreparedData, Split, TargetFacts
from tuner.data.preprocessed import Preprocessed, fits
from tuner.data.structures import in_structure

if TYPE_CHECKING:
    from search_spaces.base import LabelForm

# The columns of a smaller split are gathered in memory without Python; those of a larger one stay in the page cache,
# which the trials of a node share.
IN_MEMORY_BYTES = 256 * 2**20
# AutoGraph would rewrite each function in every trial, for control flow that none of them has.
_as_it_is = tf.autograph.experimental.do_not_convert

_Read = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class BatchFormat:
    """How examples become batches: the same for the training and the evaluation of a trial.

    A batch is ``x``, ``(x, y)`` or ``(x, y, weights)``, as ``model.fit(x, y, sample_weight)`` gives it to a model:
    see ``search_spaces.base.Input`` for the kinds of inputs; where the data has several inputs, targets or weights,
    tuples and dicts of them.

    Attributes:
        labels: how classes come, of every target or of each: as they were ``given`` (of files and tables, and where
            labels are strings, that is as of ``integer``), ``integer``: their index, int64 (batch,), or ``one_hot``:
            float32 (batch, classes).
        preprocessing: applied to ``x`` ahead of the accelerator, such as the first stage of a ``StagedModel``.
        class_weights: shape (classes,): weights of training examples by their class.
        in_memory_bytes: a split with less than this is held in memory, and so is what ``preprocessing`` makes of it.
        columns: the inputs of a dict that come, by name; None for all.
    """

    labels: LabelForm | tuple[LabelForm, ...] = "given"
    preprocessing: Callable[[Any], Any] | None = None
    class_weights: tuple[float, ...] | None = None
    in_memory_bytes: int = IN_MEMORY_BYTES
    columns: tuple[str, ...] | None = None

    def labels_of(self, target: int) -> LabelForm:
        """How the classes of the target of that place come."""
        return self.labels if isinstance(self.labels, str) else self.labels[target]


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
        shuffle: without, every epoch has the split's own order.

    Attributes:
        dataset: yields batches, see ``BatchFormat``. Its cardinality is known.
    """

    def __init__(
        self,
        data: PreparedData,
        batch_size: int,
        seed: int,
        form: BatchFormat,
        split: str = "train",
        *,
        shuffle: bool = True,
    ) -> None:
        chosen = data.split(split)
        self._length = len(chosen)
        self._seed = seed
        self._shuffle = shuffle
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
        yield permutation(self._length, self._seed, self._epoch) if self._shuffle else np.arange(self._length)


def inputs_of(batch: Any) -> Any:
    """The inputs in a batch, which is ``x`` alone, ``(x,)``, ``(x, y)`` or ``(x, y, weights)``."""
    return batch[0] if isinstance(batch, tuple) else batch


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
        facts.name: _as_given(facts, _reader(column, limit))
        for facts, column in zip(data.inputs, split.inputs, strict=True)
        if form.columns is None or facts.name in form.columns
    }
    targets = [
        _target(facts, _array_reader(values, limit), form.labels_of(index))
        for index, (facts, values) in enumerate(zip(data.targets, split.targets, strict=True))
    ]
    weights = _weights(data, split, class_weights, limit)
    x_names, y_names = list(inputs), [each.name for each in data.targets]

    @_as_it_is
    def raw(indices: tf.Tensor) -> Any:
        return in_structure(data.structure, x_names, [read(indices) for read in inputs.values()])

    x_of, is_kept = _kept(raw, form, len(split)) if form.preprocessing is not None else (raw, False)

    @_as_it_is
    def rows(indices: tf.Tensor) -> Any:
        x = x_of(indices)
        if not targets:
            return (x,) if data.wrapped else x
        y = in_structure(data.target_structure, y_names, [read(indices) for read in targets])
        return (x, y) if weights is None else (x, y, weights(indices))

    known = tf.data.experimental.assert_cardinality(-(-len(split) // batch_size))
    batches = order.map(rows)
    if form.preprocessing is not None and not is_kept:
        wrapped = bool(targets) or data.wrapped
        batches = batches.map(_on_first(form.preprocessing, wrapped), num_parallel_calls=parallel_calls())
    return with_fixed_parallelism(batches.apply(known).prefetch(PREFETCHED_BATCHES))


def _kept(raw: Callable[[tf.Tensor], Any], form: BatchFormat, examples: int) -> tuple[Callable[[tf.Tensor], Any], bool]:
    """Reads inputs, preprocessed ones where there is room to keep them; whether they are."""
    assert form.preprocessing is not None
    stage = form.preprocessing
    one = tf.data.Dataset.range(examples).batch(1).map(_as_it_is(lambda indices: stage(raw(indices))))
    if not fits(one.element_spec, examples, form.in_memory_bytes):
        return raw, False
    return Preprocessed(raw, stage, examples, one.element_spec).read, True


def _bytes_of(split: Split) -> int:
    arrays = [*split.targets, *split.weights]
    for column in split.inputs:
        if isinstance(column, ArrayColumn):
            arrays.append(column.values)
        else:
            arrays.append(column.content if isinstance(column, StringColumn) else column.codes)
    return sum(array.nbytes for array in arrays)


def _on_first(preprocessing: Callable[[Any], Any], wrapped: bool) -> Callable[..., Any]:
    if wrapped:
        return _as_it_is(lambda x, *rest: (preprocessing(x), *rest))
    return _as_it_is(preprocessing)


def _as_given(facts: InputFacts, read: _Read) -> _Read:
    # The pixels of image files are kept as uint8.
    return _as_it_is(lambda indices: tf.cast(read(indices), facts.dtype)) if facts.kind == "image" else read


def _target(facts: TargetFacts, read: _Read, labels: LabelForm) -> _Read:
    if facts.task != "classification" or labels == "given":
        return read
    classes = _classes(facts, read)
    if labels == "integer":
        return classes
    count = len(facts.class_names)
    return _as_it_is(lambda indices: tf.one_hot(classes(indices), count, dtype=tf.float32))


def _classes(facts: TargetFacts, read: _Read) -> _Read:
    """The index of each example's class, int64 (batch,): what ``tuner.data.classes.classes_of`` gives."""
    if facts.coding == "one_hot":
        return _as_it_is(lambda indices: tf.argmax(tf.cast(read(indices), tf.float32), axis=-1))
    if facts.coding == "index":
        return _as_it_is(lambda indices: tf.reshape(tf.cast(read(indices), tf.int64), (-1,)))
    wide = tf.as_dtype(facts.dtype) if facts.dtype.startswith("float") else tf.int64
    with tf.device("/CPU:0"):
        known = tf.constant(class_values(facts).astype(wide.as_numpy_dtype))

    @_as_it_is
    def places(indices: tf.Tensor) -> tf.Tensor:
        return tf.searchsorted(known, tf.reshape(tf.cast(read(indices), wide), (-1,)), out_type=tf.int64)

    return places


def _weights(
    data: PreparedData, split: Split, class_weights: Sequence[float] | None, limit: int
) -> Callable[[tf.Tensor], Any] | None:
    """The weights of examples: their own times their class's."""
    own = [_array_reader(values, limit) for values in split.weights]
    names = [each.name for each in data.weights]
    if class_weights is None:
        if not own:
            return None
        return _as_it_is(lambda rows: in_structure(data.weight_structure, names, [read(rows) for read in own]))
    by_class = tf.constant(class_weights, dtype=tf.float32)
    classes = _classes(data.targets[0], _array_reader(split.targets[0], limit))

    @_as_it_is
    def weigh(indices: tf.Tensor) -> Any:
        weight = tf.gather(by_class, classes(indices))
        if not own:
            return weight
        return in_structure(data.weight_structure, names, [_multiplied(read(indices), weight) for read in own])

    return weigh


def _multiplied(own: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Weights of examples or their parts, (batch, ...), times those of examples, (batch,)."""
    shape = tf.concat([tf.shape(weight), tf.ones(len(own.shape) - 1, tf.int32)], axis=0)
    return tf.cast(own, tf.float32) * tf.reshape(weight, shape)


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
