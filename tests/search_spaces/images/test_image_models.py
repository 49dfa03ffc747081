"""The models that the image space builds: valid, bounded, trainable, and of Keras's own layers."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from search_spaces.base import DataSummary
from search_spaces.image import ImageSpace
from search_spaces.images.backbones import BACKBONES

Summary = Callable[..., DataSummary]
SHAPES = [(8, 8, 1), (32, 32, 3), (96, 64, 3), (224, 224, 3)]


class _RandomHyperParameters(keras_tuner.HyperParameters):
    """Draws each value where it is asked for."""

    def __init__(self, seed: int, given: dict[str, Any]) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.values.update(given)
        self.given = given

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        known = hyperparameter.name in self.values
        value = super()._register(hyperparameter, overwrite)
        if known or not self.is_active(hyperparameter):
            return value
        self.values[hyperparameter.name] = hyperparameter.random_sample(self.draw.random())
        return self.values[hyperparameter.name]


def _images(shape: tuple[int, ...], count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, *shape)).astype("float32")


def _assert_probabilities(predicted: np.ndarray) -> None:
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert predicted.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_configurations_are_valid_and_bounded(shape: tuple[int, ...], summary: Summary) -> None:
    space = ImageSpace(summary(shape))
    for seed in range(6):
        model = space.build(_RandomHyperParameters(seed, {}))
        assert model.input_shape == (None, *shape)
        assert model.output_shape == (None, 3)
        assert model.count_params() <= 4_000_000
        keras.backend.clear_session()


@pytest.mark.parametrize("family", ["plain", "residual", "separable"])
def test_the_largest_network_on_small_images(family: str, summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values = {"family": family, "width": 48, "blocks": 2 if family == "residual" else 3}
    hp.values |= {"dense_units": 128, "squeeze_excitation": True, "kernel_size": 5}
    model = ImageSpace(summary((32, 32, 3), classes=100)).build(hp)
    assert hp.get("stages") == 3
    assert model.count_params() <= 3_000_000


@pytest.mark.parametrize(
    "given",
    [
        {"family": "plain", "augment": True, "flip": "horizontal", "contrast": 0.4, "blocks": 2},
        {"family": "residual", "optimizer": "sgd", "squeeze_excitation": True, "pooling": "max"},
        {"family": "separable", "normalization": "group", "center_crop": 0.875, "dense_units": 128},
    ],
    ids=lambda given: given["family"],
)
def test_a_model_trains_and_is_the_same_when_loaded(given: dict[str, Any], summary: Summary, tmp_path: Path) -> None:
    shape = (32, 32, 3)
    hp = _RandomHyperParameters(3, given | {"batch_size": 16, "width": 24})
    model = ImageSpace(summary(shape)).build(hp)
    labels = np.eye(3, dtype="float32")[np.arange(16) % 3]
    history = model.fit(_images(shape, 16), labels, batch_size=16, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert set(history) == {"accuracy", "loss"}
    images = _images(shape)
    predicted = model.predict(images, verbose=0)
    _assert_probabilities(predicted)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), predicted, atol=1e-6)


@pytest.mark.fast
def test_every_layer_is_one_of_keras(summary: Summary) -> None:
    for seed in range(6):
        model = ImageSpace(summary((32, 32, 3))).build(_RandomHyperParameters(seed, {}))
        assert {type(each).__module__.split(".")[0] for each in model.layers} == {"keras"}


def test_the_schedule_warms_up_and_decays_over_the_whole_training(summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    space = ImageSpace(summary((8, 8, 1), train=320), epochs=10)
    rate = space.build(hp).optimizer._learning_rate
    # 320 examples in batches of 32 are 10 steps an epoch; a tenth of 100 steps warms up.
    assert float(rate(0)) == pytest.approx(2e-5)
    assert float(rate(10)) == pytest.approx(2e-3)
    assert float(rate(55)) == pytest.approx(1.01e-3, rel=1e-3)
    assert float(rate(100)) == pytest.approx(2e-5, rel=1e-3)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "warmup_cosine"])
def test_one_epoch_of_one_batch_has_a_schedule(schedule: str, summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["schedule"] = schedule
    model = ImageSpace(summary((8, 8, 1), train=8), epochs=1).build(hp)
    model.fit(_images((8, 8, 1)), np.eye(3, dtype="float32")[[0, 1, 2, 0]], verbose=0)
    _assert_probabilities(model.predict(_images((8, 8, 1)), verbose=0))


def test_mixed_precision_keeps_probabilities_in_float32(summary: Summary) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = ImageSpace(summary((16, 16, 3))).build(keras_tuner.HyperParameters())
    finally:
        keras.config.set_dtype_policy("float32")
    assert any(each.compute_dtype == "bfloat16" for each in model.layers)
    _assert_probabilities(model.predict(_images((16, 16, 3)), verbose=0))


def test_the_default_learns_digits(summary: Summary) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = (digits.images[order, ..., None] * (255 / 16)).astype("float32")
    labels = np.eye(10, dtype="float32")[digits.target[order]]
    keras.utils.set_random_seed(0)
    model = ImageSpace(summary((8, 8, 1), classes=10, train=1437), epochs=6).build(keras_tuner.HyperParameters())
    history = model.fit(
        images[:1437],
        labels[:1437],
        validation_data=(images[1437:], labels[1437:]),
        batch_size=32,
        epochs=6,
        verbose=0,
    ).history
    assert max(history["val_accuracy"]) >= 0.96


def test_a_small_folder_trains(summary: Summary) -> None:
    """Three classes of forty: 96 images to learn from, 24 to validate with."""
    draw = np.random.default_rng(0)
    patterns, labels = draw.uniform(40, 215, (3, 16, 16, 3)), np.arange(120) % 3
    images = np.clip(patterns[labels] + draw.normal(0, 90, (120, 16, 16, 3)), 0, 255).astype("float32")
    one_hot = np.eye(3, dtype="float32")[labels]
    keras.utils.set_random_seed(0)
    hp = keras_tuner.HyperParameters()
    space = ImageSpace(summary((16, 16, 3)), epochs=8)
    model = space.build(hp)
    batches = tf.data.Dataset.from_tensor_slices((images[:96], one_hot[:96])).shuffle(96, seed=0)
    batches = batches.batch(hp.get("batch_size"))
    validation = (images[96:], one_hot[96:])
    history = space.fit(hp, model, batches, validation_data=validation, epochs=8, verbose=0).history
    assert max(history["val_accuracy"]) > 0.85


def _pretrained_space(summary: Summary, **options: Any) -> ImageSpace:
    return ImageSpace(summary((32, 32, 1)), pretrained=True, weights=None, **options)


@pytest.mark.parametrize("fine_tune", [False, True])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone(backbone: str, fine_tune: bool, summary: Summary, tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values = {"backbone": backbone, "fine_tune": fine_tune}
    space = _pretrained_space(summary)
    config = space.configure(hp)
    assert config.family == "pretrained"
    assert config.network is None
    assert config.framing.size == (96, 96)
    model = space.build_config(config)
    assert (len(model.trainable_variables) > 10) == fine_tune
    # What is trained makes no difference to what is computed.
    if not fine_tune:
        images = _images((32, 32, 1))
        predicted = model.predict(images, verbose=0)
        _assert_probabilities(predicted)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        np.testing.assert_allclose(loaded.predict(images, verbose=0), predicted, atol=1e-6)


@pytest.mark.fast
def test_other_families_beside_backbones(summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["family"] = "residual"
    config = _pretrained_space(summary).configure(hp)
    assert config.backbone is None
    assert config.network is not None
    assert config.framing.size == (32, 32)


def test_weights_that_cannot_be_fetched(summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy at which nothing listens, and an empty cache: no way to the weights. urllib keeps the proxies of its first
    # request for the rest of the process: those of before must not help here, nor these harm a later test.
    monkeypatch.setattr("urllib.request._opener", None)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="mobilenet_v3_large cannot be fetched") as caught:
        ImageSpace(summary((64, 64, 3)), pretrained=True)
    assert str(tmp_path / "models") in str(caught.value)
    assert "set pretrained: false" in str(caught.value)


def test_images_that_do_not_suit_pretrained_networks(summary: Summary) -> None:
    with pytest.raises(ValueError, match="at least 32 x 32 pixels and these have 8 on a side"):
        ImageSpace(summary((8, 8, 3)), pretrained=True)
    with pytest.raises(ValueError, match="these images have 4"):
        ImageSpace(summary((64, 64, 4)), pretrained=True)
