"""What a model's first stage makes of a split, made once and kept in memory: strings take long, and every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tuner.data.pipeline_options import with_fixed_parallelism

# Of one piece; a bag of words takes 200 KB for each of them while it is made.
_AT_ONCE = 128


def fits(element_spec: Any, examples: int, most_bytes: int) -> bool:
    """Whether what so many examples become takes less than ``most_bytes``, as far as their shapes tell it.

    Args:
        element_spec: of a batch, as ``tf.data`` has it.
    """
    parts = tf.nest.flatten(element_spec)
    if any(part.dtype == tf.string or not part.shape[1:].is_fully_defined() for part in parts):
        return False
    return examples * sum(part.dtype.size * math.prod(part.shape[1:]) for part in parts) < most_bytes


class Preprocessed:
    """A split after a first stage, which runs when it is first asked for an example.

    Args:
        inputs: from indices, int64 (batch,), to raw inputs.
        stage: from raw inputs to tensors, the same ones of an example each time.
        examples: how many the split has.
        element_spec: of what ``stage`` gives.
    """

    def __init__(
        self, inputs: Callable[[tf.Tensor], Any], stage: Callable[[Any], Any], examples: int, element_spec: Any
    ) -> None:
        order = tf.data.Dataset.range(examples).batch(_AT_ONCE)
        self._batches = with_fixed_parallelism(
            order.map(tf.autograph.experimental.do_not_convert(lambda rows: stage(inputs(rows))))
        )
        self._spec = element_spec
        self._parts = tf.nest.flatten(element_spec)
        self._examples = examples
        self._held: list[npt.NDArray[Any]] | None = None
        self._lock = Lock()

    def read(self, indices: tf.Tensor) -> Any:
        """What the stage makes of examples, in its structure."""
        found = tf.numpy_function(self._rows, [indices], [each.dtype for each in self._parts], stateful=False)
        shaped = [tf.ensure_shape(each, part.shape) for each, part in zip(found, self._parts, strict=True)]
        return tf.nest.pack_sequence_as(self._spec, shaped)

    def _rows(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
        with self._lock:
            if self._held is None:
                self._held = self._made()
        return [each[indices] for each in self._held]

    def _made(self) -> list[npt.NDArray[Any]]:
        # Filled piece by piece, so that nothing is in memory twice.
        held = [np.empty((self._examples, *part.shape[1:]), part.dtype.as_numpy_dtype) for part in self._parts]
        start = 0
        for batch in self._batches.as_numpy_iterator():
            pieces = tf.nest.flatten(batch)
            for whole, piece in zip(held, pieces, strict=True):
                whole[start : start + len(piece)] = piece
            start += len(pieces[0])
        return held
