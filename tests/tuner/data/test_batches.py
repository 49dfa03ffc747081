import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.columns import ArrayColumn
from tuner.data.permutation import permutation
from tuner.data.prepared import FileOrigin, InputFacts, PreparedData, Split, TargetFacts

RNG = np.random.default_rng(0)
LENGTH, CLASSES = 37, 3
IN_MEMORY, FROM_DISK = 2**20, 0


@pytest.fixture
def split(tmp_path):
    images = RNG.integers(0, 256, (LENGTH, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    labels = RNG.integers(0, CLASSES, LENGTH).astype(np.int64)
    files = tuple(f"{i}.png" for i in range(LENGTH))
    column = ArrayColumn(np.load(tmp_path / "images.npy", mmap_mode="r"))
    return Split("train", (column,), (labels,), (), FileOrigin("/", files))


@pytest.fixture
def data(split, tmp_path):
    image = InputFacts(kind="image", shape=(4, 4, 3), dtype="float32")
    target = TargetFacts(task="classification", dtype="int64", class_names=("a", "b", "c"))
    splits = {"train": split, "validation": split}
    return PreparedData(tmp_path, "0" * 64, "image_directory", (image,), (target,), splits)


def form(labels, limit):
    return BatchFormat(labels, in_memory_bytes=limit)


def collected(dataset):
    batches = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


@pytest.fixture(params=[IN_MEMORY, FROM_DISK], ids=["memory", "disk"])
def limit(request):
    return request.param


def test_an_epoch_is_the_permutation_of_seed_and_epoch(data, split, limit):
    batches = TrainingBatches(data, 8, 5, form("integer", limit))
    assert int(batches.dataset.cardinality()) == 5
    assert [len(x) for x, _ in batches.dataset] == [8, 8, 8, 8, 5]
    for epoch in (0, 3, 1):
        batches.epoch = epoch
        images, labels = collected(batches.dataset)
        order = permutation(LENGTH, 5, epoch)
        assert np.array_equal(images, split.inputs[0].values[order])
        assert np.array_equal(labels, split.targets[0][order])
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)


def test_evaluation_keeps_the_order_of_the_files(data, split, limit):
    dataset = evaluation_batches(data, 10, form("integer", limit))
    images, labels = collected(dataset)
    assert int(dataset.cardinality()) == 4
    assert np.array_equal(images, split.inputs[0].values)
    assert np.array_equal(labels, split.targets[0])


def test_one_hot_labels_and_static_shapes(data, split, limit):
    for dataset in (
        TrainingBatches(data, 8, 0, form("one_hot", limit)).dataset,
        evaluation_batches(data, 8, form("one_hot", limit)),
    ):
        images, labels = dataset.element_spec
        assert (images.shape.as_list(), images.dtype) == ([None, 4, 4, 3], tf.float32)
        assert (labels.shape.as_list(), labels.dtype) == ([None, CLASSES], tf.float32)
    _, labels = collected(dataset)
    assert np.array_equal(labels, np.eye(CLASSES, dtype=np.float32)[split.targets[0]])


def test_a_batch_larger_than_the_split(data):
    dataset = TrainingBatches(data, 100, 0, BatchFormat()).dataset
    assert [len(x) for x, _ in dataset] == [LENGTH]


def test_epochs_count_from_zero(data):
    with pytest.raises(ValueError, match="-1"):
        TrainingBatches(data, 8, 0, BatchFormat()).epoch = -1


def _fit(data, limit, initial_epoch, epochs, weights=None, steps_per_execution=1):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-5), loss, steps_per_execution=steps_per_execution)
    if weights:
        model.set_weights(weights)
    batches = TrainingBatches(data, 8, 1, form("integer", limit))

    def choose(epoch, logs=None):
        batches.epoch = epoch

    history = model.fit(
        batches.dataset,
        validation_data=evaluation_batches(data, 8, form("integer", limit)),
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
def test_training_resumed_at_an_epoch_ends_with_the_same_weights(data, split, limit):
    whole, _ = _fit(data, limit, 0, 4)
    half, _ = _fit(data, limit, 0, 2)
    resumed, history = _fit(data, limit, 2, 4, half)
    assert len(history["val_loss"]) == 2
    for one, other in zip(whole, resumed, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.filterwarnings("error")
def test_several_steps_per_execution_run_out_of_no_data(data, split, limit):
    _, history = _fit(data, limit, 0, 2, steps_per_execution=3)
    assert len(history["loss"]) == 2
