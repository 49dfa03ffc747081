"""Linear models of texts: what solving them gives, gone on with, and as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from search_spaces.base import StagedModel
from search_spaces.text import TextSpace
from search_spaces.texts.linear_fit import penalties
from tests.prepared_texts import write_texts
from tuner.champion.formats.onnx.model import write_onnx
from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.data.summary import summary_of

_CLASSES = ("bad", "good", "so so")
_TELLING = ("awful", "fine", "neither")
EPOCHS = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    draw, labels = np.random.default_rng(0), np.arange(90) % 3
    filler = [f"word{number}" for number in range(20)]
    texts = [" ".join([*draw.choice(filler, draw.integers(1, 9)), _TELLING[label]]) + "!" for label in labels]
    target = TargetFacts(task="classification", dtype="int64", class_names=_CLASSES)
    folder = tmp_path_factory.mktemp("texts") / "prepared"
    return write_texts(folder, {"train": (texts[:60], labels[:60]), "validation": (texts[60:], labels[60:])}, target)


def _fitted(data: PreparedData, **fit: Any) -> tuple[StagedModel, list[float]]:
    space, hp = TextSpace(summary_of(data), epochs=EPOCHS), keras_tuner.HyperParameters()
    model = space.build(hp)
    form = BatchFormat(space.labels, model.preprocessing)
    batches = TrainingBatches(data, 16, 0, form).dataset
    history = space.fit(
        hp, model.network, batches, validation_data=evaluation_batches(data, 16, form), verbose=0, **fit
    )
    return model, history.history["val_accuracy"]


def test_what_decides_is_learned_and_training_ends_with_the_path(data: PreparedData) -> None:
    model, accuracies = _fitted(data, epochs=20)
    assert len(accuracies) == len(penalties(EPOCHS)) == EPOCHS
    assert accuracies[-1] == 1.0
    texts = tf.constant(["awful stuff", "simply fine", "neither word1"])
    assert model.end_to_end()(texts).numpy().argmax(axis=1).tolist() == [0, 1, 2]


def test_a_training_that_goes_on_ends_with_the_same_weights(data: PreparedData) -> None:
    whole, _ = _fitted(data, epochs=EPOCHS)
    resumed, accuracies = _fitted(data, epochs=EPOCHS, initial_epoch=2)
    assert len(accuracies) == 2
    for ours, theirs in zip(resumed.network.weights, whole.network.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_onnx_file_gives_what_keras_gives(data: PreparedData, tmp_path: Path) -> None:
    import onnxruntime

    model = _fitted(data, epochs=1)[0].end_to_end()

    def call(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(texts, training=False)}

    write_onnx(model, call, [tf.TensorSpec((None,), "string", "text")], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    texts = np.array(["", "awful awful word1!", "unheard of", "fine " * 40, "word1 word2 neither"], object)
    [found] = session.run(None, {"text": texts})
    np.testing.assert_allclose(found, model(tf.constant(texts.tolist()), training=False), atol=1e-5)


def test_every_training_has_its_path() -> None:
    assert [len(penalties(epochs)) for epochs in (1, 2, 3, 12, 20)] == [1, 2, 3, 12, 12]
    assert all(sorted(penalties(epochs), reverse=True) == penalties(epochs) for epochs in (2, 12))
