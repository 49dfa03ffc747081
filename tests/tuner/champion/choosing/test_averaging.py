"""The average of several trials' models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tuner.champion.choosing.averaging import NoAverage, average
from tuner.champion.choosing.scored_trial import evaluate
from tuner.champion.model.study_data import prepared_data
from tuner.champion.records.ensemble import Limits
from tuner.spec.objective import Objective

ROOM = Limits(bytes=10**9, latency_ms=1e6)


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
    """The best first, by their loss. Each is too sure of a class of its own, so an average is better than any."""
    found = []
    spec = project.spec.model_copy(update={"objectives": (Objective(metric="val_loss", direction="minimize"),)})
    for trial, model in enumerate(models):
        recorded = project.train(model, epochs=3)
        kernel, bias = model.layers[-1].get_weights()
        bias[trial] += 1.5
        model.layers[-1].set_weights([kernel, bias])
        request = project.request(model, recorded["val_loss"], trial=trial, spec=spec)
        found.append(evaluate(request, prepared_data(request)))
    return sorted(found, key=_loss)


def _loss(evaluated: Any) -> float:
    return float(evaluated.metrics("validation")["loss"])


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
    evaluated = _evaluated(shades, [_model(0, loss, activation=output) for _ in range(3)])
    made = average(evaluated, ROOM, 0, tmp_path / "ensemble.keras")
    assert sum(member.weight for member in made.members) == pytest.approx(1)
    assert len(made.members) >= 2
    loaded = keras.saving.load_model(tmp_path / "ensemble.keras")
    images = np.random.default_rng(0).uniform(0, 255, (5, 24, 24, 3)).astype("f4")
    by_trial = {each.request.trial: each for each in evaluated}
    expected = sum(
        member.weight * _probabilities(by_trial[member.trial].subject.model(images).numpy(), activation)
        for member in made.members
    )
    given = _probabilities(loaded(images, training=False).numpy(), activation)
    np.testing.assert_allclose(given, expected, atol=2e-6)
    # It scores what it says, with the loss and metrics of its heaviest member.
    whole = evaluate(
        evaluated[0].request.model_copy(update={"checkpoint": tmp_path / "ensemble.keras"}), evaluated[0].data
    )
    assert whole.metrics("validation")["loss"] == pytest.approx(made.whole.validation.value, rel=1e-5)
    assert made.whole.parameters == sum(by_trial[member.trial].parameters for member in made.members), (
        "each member's weights are there once"
    )
    assert made.whole.latency_ms > 0 and made.single.bytes > 0


def test_it_is_better_on_validation_than_each_of_its_models_and_within_the_limits(shades: Any, tmp_path: Path) -> None:
    models = [_model(0, "sparse_categorical_crossentropy", activation="softmax") for _ in range(3)]
    evaluated = _evaluated(shades, models)
    file = tmp_path / "ensemble.keras"
    made = average(evaluated, ROOM, 0, file)
    assert made.whole.validation.value < min(_loss(each) for each in evaluated)
    assert file.stat().st_size == made.whole.bytes
    # What two of the models take is too much.
    with pytest.raises(NoAverage, match=r"^every average of trials is beyond a limit: it has .* \(max_bytes is "):
        average(evaluated, ROOM.model_copy(update={"bytes": made.whole.bytes // 8}), 0, file)
    with pytest.raises(NoAverage, match="no average of trials is better on validation than trial 0 alone"):
        average(evaluated, ROOM.model_copy(update={"bytes": 1}), 0, file)
    with pytest.raises(NoAverage, match=r"beyond a limit: a prediction takes .* ms on this machine"):
        average(evaluated, ROOM.model_copy(update={"latency_ms": 1e-6}), 0, file)
    with pytest.raises(NoAverage, match="the model of one trial only is kept"):
        average(evaluated[:1], ROOM, 0, file)
    assert not file.exists()


@pytest.mark.fast
def test_models_that_mean_different_things_are_not_averaged(shades: Any, tmp_path: Path) -> None:
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    models = [_model(0, "sparse_categorical_crossentropy", activation="softmax"), _model(1, logits)]
    first, second = _evaluated(shades, models)
    assert first.scores_as(first) and not first.scores_as(second)
    with pytest.raises(NoAverage, match="cannot be averaged"):
        average([first, second], ROOM, 0, tmp_path / "ensemble.keras")
    assert not (tmp_path / "ensemble.keras").exists()
