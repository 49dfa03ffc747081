"""What a first stage makes of a split is made once."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tuner.data.preprocessed import Preprocessed, fits

_TEXTS = tf.constant([f"{'x' * length}" for length in range(300)])


def test_each_example_is_made_once_and_read_in_any_order() -> None:
    made: list[int] = []

    def noted(lengths: np.ndarray) -> np.ndarray:
        made.extend(lengths.tolist())
        return lengths

    def stage(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = tf.ensure_shape(tf.numpy_function(noted, [tf.strings.length(texts)], tf.int32), (None,))
        return {"length": lengths, "twice": tf.stack([lengths, 2 * lengths], axis=1)}

    spec = {"length": tf.TensorSpec((None,), tf.int32), "twice": tf.TensorSpec((None, 2), tf.int32)}
    kept = Preprocessed(lambda rows: tf.gather(_TEXTS, rows), stage, 300, spec)
    batches = tf.data.Dataset.from_tensor_slices(tf.constant([[7, 299, 7], [0, 1, 2]], tf.int64)).map(kept.read)
    for _ in range(2):
        found: list[Any] = list(batches.as_numpy_iterator())
        assert [each["length"].tolist() for each in found] == [[7, 299, 7], [0, 1, 2]]
        assert found[0]["twice"].tolist() == [[7, 14], [299, 598], [7, 14]]
    assert sorted(made) == list(range(300))
    assert batches.element_spec["twice"].shape.as_list() == [None, 2]


def test_what_has_no_known_size_or_too_large_a_one_is_not_kept() -> None:
    numbers = tf.TensorSpec((None, 10), tf.float32)
    assert fits({"x": numbers}, 100, 4001) and not fits({"x": numbers}, 100, 4000)
    assert not fits(tf.TensorSpec((None, None), tf.float32), 1, 10**9)
    assert not fits((numbers, tf.TensorSpec((None,), tf.string)), 1, 10**9)
