"""Batches for training and evaluation, as ``tf.data`` pipelines over prepared data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tuner.data.permutation import permutation
from tuner.data.prepared import Split

if TYPE_CHECKING:
    from search_spaces.base import Labels

# Smaller splits are gathered in memory without Python; larger ones stay in the page cache, which
# the trials of a node share.
IN_MEMORY_BYTES = 256 * 2**20
_PREFETCHED_BATCHES = 2
# AutoGraph would rewrite each function in every trial, for control flow that none of them has.
_as_it_is = tf.autograph.experimental.do_not_convert


class TrainingBatches:
    """Shuffled batches of a split; the order depends on the seed and the epoch alone.

    A trial that resumes at an epoch sees the batches that it would have seen. Whoever trains sets
    ``epoch`` before each epoch starts (in ``on_epoch_begin``, Keras has not yet asked for data).

    Args:
        split: the examples.
        batch_size: examples per batch; the last batch of an epoch may be smaller.
        seed: non-negative.
        labels: ``integer`` or ``one_hot``.
        num_classes: length of a one-hot label.
        in_memory_bytes: splits with less pixel data than this are held in memory.

    Attributes:
        dataset: yields (images, labels): float32 (batch, height, width, channels) in [0, 255], and
            int64 (batch,) or one-hot float32 (batch, num_classes). Its cardinality is known.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        labels: Labels,
        num_classes: int,
        in_memory_bytes: int = IN_MEMORY_BYTES,
    ) -> None:
        self._length = len(split)
        self._seed = seed
        self._epoch = 0
        # One call into Python per epoch, at its first batch.
        order = tf.data.Dataset.from_generator(
            self._orders, output_signature=tf.TensorSpec((self._length,), tf.int64)
        ).flat_map(_as_it_is(lambda rows: tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)))
        self.dataset = _batches(split, order, batch_size, labels, num_classes, in_memory_bytes)

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
    split: Split,
    batch_size: int,
    labels: Labels,
    num_classes: int,
    in_memory_bytes: int = IN_MEMORY_BYTES,
) -> tf.data.Dataset:
    """All examples of a split in its order; arguments and elements as for ``TrainingBatches``."""
    order = tf.data.Dataset.range(len(split)).batch(batch_size)
    return _batches(split, order, batch_size, labels, num_classes, in_memory_bytes)


def _batches(
    split: Split,
    order: tf.data.Dataset,
    batch_size: int,
    labels: Labels,
    num_classes: int,
    in_memory_bytes: int,
) -> tf.data.Dataset:
    """Batches of rows for a dataset of batches of indices."""
    pixels = _pixel_reader(split.images, in_memory_bytes)
    with tf.device("/CPU:0"):
        targets = tf.constant(split.labels)

    @_as_it_is
    def rows(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.gather(targets, indices)
        if labels == "one_hot":
            chosen = tf.one_hot(chosen, num_classes, dtype=tf.float32)
        return tf.cast(pixels(indices), tf.float32), chosen

    known = tf.data.experimental.assert_cardinality(-(-len(split) // batch_size))
    return order.map(rows).apply(known).prefetch(_PREFETCHED_BATCHES)


def _pixel_reader(images: npt.NDArray[np.uint8], in_memory_bytes: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from indices, int64 (batch,), to uint8 images."""
    if images.nbytes < in_memory_bytes:
        with tf.device("/CPU:0"):
            held = tf.constant(images)
        return _as_it_is(lambda indices: tf.gather(held, indices))

    @_as_it_is
    def read(indices: tf.Tensor) -> tf.Tensor:
        chosen = tf.numpy_function(lambda rows: images[rows], [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(chosen, (None, *images.shape[1:]))

    return read
