"""The average of several trials' models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tuner.champion.choosing.averaging import average
from tuner.champion.choosing.scored_trial import evaluate
from tuner.champion.model.study_data import prepared_data
from tuner.errors import ExportError


def _model(seed: int, loss: Any, units: int = 3, activation: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.AveragePooling2D(8),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation=activation),
        ],
        name="the_same_name",
    )
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def _evaluated(project: Any, models: list[keras.Model]) -> list[Any]:
    found = []
    for trial, model in enumerate(models):
        recorded = project.train(model, epochs=3)
        request = project.request(model, recorded["val_accuracy"], trial=trial)
        found.append(evaluate(request, prepared_data(request)))
    return found


def _probabilities(outputs: Any, activation: str) -> Any:
    if activation == "softmax":
        return keras.ops.convert_to_numpy(keras.ops.softmax(outputs))
    return 1 / (1 + np.exp(-outputs)) if activation == "sigmoid" else outputs


@pytest.mark.parametrize(
    ("loss", "output", "activation"),
    [
        ("sparse_categorical_crossentropy", "softmax", "none"),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), None, "softmax"),
    ],
)
def test_probabilities_are_averaged_whatever_the_models_give(
    shades: Any, tmp_path: Path, loss: Any, output: str | None, activation: str
) -> None:
    evaluated = _evaluated(shades, [_model(seed, loss, activation=output) for seed in range(3)])
    made = average(evaluated, 3, 0, tmp_path / "ensemble.keras")
    assert sum(member.weight for member in made.members) == pytest.approx(1)
    assert len(made.members) >= 2
    loaded = keras.saving.load_model(tmp_path / "ensemble.keras")
    images = np.random.default_rng(0).uniform(0, 255, (5, 24, 24, 3)).astype("f4")
    expected = sum(
        member.weight * _probabilities(evaluated[member.trial].subject.model(images).numpy(), activation)
        for member in made.members
    )
    given = _probabilities(loaded(images, training=False).numpy(), activation)
    np.testing.assert_allclose(given, expected, atol=2e-6)
    # It scores what it says, with the loss and metrics of its heaviest member.
    whole = evaluate(
        evaluated[0].request.model_copy(update={"checkpoint": tmp_path / "ensemble.keras"}), evaluated[0].data
    )
    assert whole.metrics("validation")["accuracy"] == pytest.approx(made.whole.validation.value, abs=1e-6)
    assert made.whole.parameters == sum(evaluated[member.trial].parameters for member in made.members), (
        "each member's weights are there once"
    )
    assert made.whole.latency_ms > 0 and made.single.bytes > 0


def test_it_is_no_worse_on_validation_than_any_pair_with_the_best(shades: Any, tmp_path: Path) -> None:
    loss = "sparse_categorical_crossentropy"
    evaluated = _evaluated(shades, [_model(seed, loss, activation="softmax") for seed in range(3)])
    made = average(evaluated, 4, 0, tmp_path / "ensemble.keras")
    outputs = [each.outputs["validation"][0] for each in evaluated]
    pairs = [evaluated[0].metrics("validation", [(outputs[0] + other) / 2])["accuracy"] for other in outputs[1:]]
    assert made.whole.validation.value >= max(pairs) - 1e-6


@pytest.mark.fast
def test_models_that_mean_different_things_are_not_averaged(shades: Any, tmp_path: Path) -> None:
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    models = [_model(0, "sparse_categorical_crossentropy", activation="softmax"), _model(1, logits)]
    with pytest.raises(ExportError, match="cannot be averaged"):
        average(_evaluated(shades, models), 2, 0, tmp_path / "ensemble.keras")
    assert not (tmp_path / "ensemble.keras").exists()
