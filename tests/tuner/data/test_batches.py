import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from tuner.data.batches import TrainingBatches, evaluation_batches
from tuner.data.permutation import permutation
from tuner.data.prepared import Split

RNG = np.random.default_rng(0)
LENGTH, CLASSES = 37, 3
IN_MEMORY, FROM_DISK = 2**20, 0


@pytest.fixture
def split(tmp_path):
    images = RNG.integers(0, 256, (LENGTH, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    labels = RNG.integers(0, CLASSES, LENGTH).astype(np.int64)
    files = tuple(f"{i}.png" for i in range(LENGTH))
    return Split("train", files, "/", labels, np.load(tmp_path / "images.npy", mmap_mode="r"))


def collected(dataset):
    batches = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


@pytest.fixture(params=[IN_MEMORY, FROM_DISK], ids=["memory", "disk"])
def limit(request):
    return request.param


def test_an_epoch_is_the_permutation_of_seed_and_epoch(split, limit):
    batches = TrainingBatches(split, 8, 5, "integer", CLASSES, limit)
    assert int(batches.dataset.cardinality()) == 5
    assert [len(x) for x, _ in batches.dataset] == [8, 8, 8, 8, 5]
    for epoch in (0, 3, 1):
        batches.epoch = epoch
        images, labels = collected(batches.dataset)
        order = permutation(LENGTH, 5, epoch)
        assert np.array_equal(images, split.images[order])
        assert np.array_equal(labels, split.labels[order])
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)


def test_evaluation_keeps_the_order_of_the_files(split, limit):
    dataset = evaluation_batches(split, 10, "integer", CLASSES, limit)
    images, labels = collected(dataset)
    assert int(dataset.cardinality()) == 4
    assert np.array_equal(images, split.images)
    assert np.array_equal(labels, split.labels)


def test_one_hot_labels_and_static_shapes(split, limit):
    for dataset in (
        TrainingBatches(split, 8, 0, "one_hot", CLASSES, limit).dataset,
        evaluation_batches(split, 8, "one_hot", CLASSES, limit),
    ):
        images, labels = dataset.element_spec
        assert (images.shape.as_list(), images.dtype) == ([None, 4, 4, 3], tf.float32)
        assert (labels.shape.as_list(), labels.dtype) == ([None, CLASSES], tf.float32)
    _, labels = collected(dataset)
    assert np.array_equal(labels, np.eye(CLASSES, dtype=np.float32)[split.labels])


def test_a_batch_larger_than_the_split(split):
    dataset = TrainingBatches(split, 100, 0, "integer", CLASSES).dataset
    assert [len(x) for x, _ in dataset] == [LENGTH]


def test_epochs_count_from_zero(split):
    with pytest.raises(ValueError, match="-1"):
        TrainingBatches(split, 8, 0, "integer", CLASSES).epoch = -1


def _fit(split, limit, initial_epoch, epochs, weights=None, steps_per_execution=1):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-5), loss, steps_per_execution=steps_per_execution)
    if weights:
        model.set_weights(weights)
    batches = TrainingBatches(split, 8, 1, "integer", CLASSES, limit)

    def choose(epoch, logs=None):
        batches.epoch = epoch

    history = model.fit(
        batches.dataset,
        validation_data=evaluation_batches(split, 8, "integer", CLASSES, limit),
        initial_epoch=initial_epoch,
        epochs=epochs,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=choose)],
        shuffle=False,
        verbose=0,
    )
    return model.get_weights(), history.history


@pytest.fixture
def op_determinism():
    tf.config.experimental.enable_op_determinism()
    yield
    # Public TensorFlow has no way back, and the other tests of this process want one.
    disable_op_determinism()


@pytest.mark.usefixtures("op_determinism")
def test_training_resumed_at_an_epoch_ends_with_the_same_weights(split, limit):
    whole, _ = _fit(split, limit, 0, 4)
    half, _ = _fit(split, limit, 0, 2)
    resumed, history = _fit(split, limit, 2, 4, half)
    assert len(history["val_loss"]) == 2
    for one, other in zip(whole, resumed, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.filterwarnings("error")
def test_several_steps_per_execution_run_out_of_no_data(split, limit):
    _, history = _fit(split, limit, 0, 2, steps_per_execution=3)
    assert len(history["loss"]) == 2
