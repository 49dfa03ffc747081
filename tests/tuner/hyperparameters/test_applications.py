"""KerasTuner's own hypermodels build through the bridge."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras_tuner
import optuna
import pytest
from keras_tuner.applications import (
    HyperEfficientNet,
    HyperImageAugment,
    HyperResNet,
    HyperXception,
)
from keras_tuner.src.applications import efficientnet

from tuner.hyperparameters import Suggest, TrialHyperParameters

Answers = Callable[[optuna.Trial], Suggest]
SHAPE = (32, 32, 3)


def _build(space: keras_tuner.HyperModel, answers: Answers, preset: dict[str, object]) -> dict[str, object]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    hp = TrialHyperParameters(answers(study.ask()), preset)
    model = space.build(hp)
    params = {name: each for name, each in study.trials[0].params.items() if "@" not in name}
    assert params == hp.values
    assert model.count_params() >= 0
    return params


def test_resnet(answers: Answers) -> None:
    preset = {"version": "v1", "conv3_depth": 4, "conv4_depth": 6}
    params = _build(HyperResNet(input_shape=SHAPE, classes=3), answers, preset)
    assert params["learning_rate"] in (0.1, 0.01, 0.001)


def test_xception(answers: Answers) -> None:
    preset = {"num_residual_blocks": 2, "conv2d_num_filters": 32}
    params = _build(HyperXception(input_shape=SHAPE, classes=3), answers, preset)
    assert params["initial_strides"] == 2


def test_efficientnet(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would fetch ImageNet's weights, which say nothing about hyperparameters.
    random = functools.partial(efficientnet.EFFICIENTNET_MODELS["B0"], weights=None)
    monkeypatch.setitem(efficientnet.EFFICIENTNET_MODELS, "B0", random)
    space = HyperEfficientNet(input_shape=SHAPE, classes=3)
    assert _build(space, answers, {"version": "B0"})["top_dropout_rate"] >= 0.2


@pytest.mark.parametrize("layers", [0, 3])
def test_augmentation(layers: int, answers: Answers) -> None:
    space = HyperImageAugment(input_shape=SHAPE, augment_layers=layers)
    assert "factor_rotate" in _build(space, answers, {})
