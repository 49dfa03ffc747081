"""Mixed training images: shares, labels and weights agree, and an epoch's batches are the same whenever it is run."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from search_spaces.images.mixing import MixedBatches, Mixing

EXAMPLES, CLASSES = 12, 3


def _batches(batch_size: int = 6, weights: np.ndarray | None = None) -> tf.data.Dataset:
    """Images whose every pixel says which example it is, so that a share of pixels is a share of an example."""
    images = np.broadcast_to(np.arange(EXAMPLES, dtype="uint8")[:, None, None, None], (EXAMPLES, 8, 8, 1))
    labels = np.eye(CLASSES, dtype="float32")[np.arange(EXAMPLES) % CLASSES]
    parts = (images, labels) if weights is None else (images, labels, weights)
    return tf.data.Dataset.from_tensor_slices(parts).batch(batch_size)


def _epoch(mixed: MixedBatches, epoch: int) -> list[tuple[np.ndarray, ...]]:
    mixed.on_epoch_begin(epoch)
    return list(mixed.dataset.as_numpy_iterator())


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_labels_are_shares_of_the_two_images(mixing: Mixing) -> None:
    mixed = MixedBatches(_batches(), mixing)
    assert mixed.dataset.cardinality() == 2
    shares = []
    for number, (images, labels) in enumerate(_epoch(mixed, 0)):
        own = 6 * number + np.arange(6)
        other = np.roll(own, 1)
        # Of the mean of all pixels, so much is the example's own.
        share = (images.mean(axis=(1, 2, 3)) - other) / (own - other)
        expected = np.zeros((6, CLASSES))
        np.add.at(expected, (np.arange(6), own % CLASSES), share)
        np.add.at(expected, (np.arange(6), other % CLASSES), 1 - share)
        assert images.dtype == labels.dtype == np.float32
        np.testing.assert_allclose(labels, expected, atol=1e-5)
        shares += share.tolist()
        if mixing == "cutmix":
            assert all(
                set(np.unique(image)) <= {float(a), float(b)} for image, a, b in zip(images, own, other, strict=True)
            )
    assert len({round(share, 3) for share in shares}) > EXAMPLES / 2


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_an_epoch_is_the_same_whenever_it_is_run_and_each_is_another(mixing: Mixing) -> None:
    straight, resumed = MixedBatches(_batches(), mixing), MixedBatches(_batches(), mixing)
    first, second = _epoch(straight, 0), _epoch(straight, 1)
    np.testing.assert_array_equal(_epoch(resumed, 1)[1][0], second[1][0])
    assert not np.array_equal(first[0][0], second[0][0])
    assert not np.array_equal(first[0][1] - first[0][1].round(), first[1][1] - first[1][1].round())


@pytest.mark.parametrize("shape", [(EXAMPLES,), (EXAMPLES, 1)])
def test_a_mixed_example_counts_as_its_parts_do(shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(0).uniform(0, 4, shape).astype("float32")
    weights[3] = weights[4] = 0
    plain = _epoch(MixedBatches(_batches(), "mixup"), 0)
    weighed = _epoch(MixedBatches(_batches(weights=weights), "mixup"), 0)
    predicted = np.random.default_rng(1).dirichlet(np.ones(CLASSES), 6).astype("float32")
    losses = -np.log(predicted)
    for number, ((images, _), (same, labels, total)) in enumerate(zip(plain, weighed, strict=True)):
        np.testing.assert_array_equal(images, same)
        own = 6 * number + np.arange(6)
        other = np.roll(own, 1)
        share = (images.mean(axis=(1, 2, 3)) - other) / (own - other)
        flat = weights.reshape(-1)
        apart = share * flat[own] * losses[np.arange(6), own % CLASSES]
        apart += (1 - share) * flat[other] * losses[np.arange(6), other % CLASSES]
        together = keras.ops.categorical_crossentropy(labels, predicted) * total
        np.testing.assert_allclose(together, apart, rtol=1e-3, atol=1e-4)


def test_the_last_batch_may_be_a_single_example() -> None:
    last = _epoch(MixedBatches(_batches(batch_size=11), "cutmix"), 0)[-1]
    assert last[0].shape == (1, 8, 8, 1)
    assert last[1].tolist() == [[0, 0, 1]]
