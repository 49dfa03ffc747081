"""How every ``tf.data`` pipeline runs: without TensorFlow's autotuner, its parallelism given as numbers.

Deleting an iterator waits until the autotuner's thread wakes up, and its sleeps double from 10 ms on: 10, 20, 40 ms and
so forth. Keras makes and deletes an iterator for each epoch and for each validation, so that each of them would last to
the next of 0.31, 0.63, 1.27, 2.55, 5.11 s while the process sleeps.
"""

from __future__ import annotations

import os
from typing import TypeVar

import tensorflow as tf
from tensorflow.python.data.ops import dataset_ops

PREFETCHED_BATCHES = 2

_Data = TypeVar("_Data", bound=tf.data.Dataset)


def parallel_calls() -> int:
    """Elements that a pipeline works on at once: one for each thread of this process."""
    return int(tf.config.threading.get_intra_op_parallelism_threads()) or len(os.sched_getaffinity(0))


def with_fixed_parallelism(dataset: _Data) -> _Data:
    """The same elements in the same order; nothing is tuned while they are read."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)


def leave_autotuning_off() -> None:
    """Reads every other dataset of this process without the autotuner too, unless its own options ask for it.

    Keras makes datasets of arrays, generators and ``PyDataset`` objects, and a search space may have a loop of its own.
    TensorFlow has no such default, but one place that every iterator's dataset passes: where its debug mode, which
    turns the autotuner off as well, puts its options.
    """
    dataset_ops.DatasetV2._apply_debug_options = _without_autotuning


_apply_debug_options = dataset_ops.DatasetV2._apply_debug_options


def _without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    dataset = _apply_debug_options(dataset)
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
