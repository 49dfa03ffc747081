"""Models of any kind: trained, kept, and gone on with exactly where they were interrupted."""

from __future__ import annotations

import pytest

from tests.prepared_arrays import write_several
from tuner.data.batches import BatchFormat, evaluation_batches
from tuner.data.cache import prepare
from tuner.trial.messages import Built, Suggest
from tuner.trial.outcome import Outcome

EPOCHS = 3
TRAINING = {"epochs": EPOCHS, "batch_size": 16, "early_stopping": None}


def unlabelled(images):
    size = {"image_size": [8, 8], "color_mode": "grayscale", "validation_split": 0.25}
    return {"kind": "image_directory", "path": str(images), "labels": "none", **size}


def gan_keys(images):
    objective = {"metric": "g_loss", "direction": "minimize"}
    return {"data": unlabelled(images), "objective": objective, "training": TRAINING}


def stop_after(*epochs):
    return lambda done: "stop" if done.epoch in epochs else "continue"


def pause_after(epoch):
    return lambda done: "pause" if done.epoch == epoch else "continue"


def test_images_without_labels_come_alone(make_spec, images, cache):
    data = prepare(make_spec(data=unlabelled(images)).data, cache)
    (batch,) = evaluation_batches(data, 16, BatchFormat()).take(1)
    assert batch.shape == (15, 8, 8, 1)


@pytest.mark.parametrize("space", ["GanSpace", "NoisySpace", "Plain", "Recompiles", "MixedImages"])
def test_an_interrupted_trial_ends_as_if_undisturbed(attempts, images, space, deterministic):
    keys = gan_keys(images) if space == "GanSpace" else {"training": TRAINING | {"mixed_precision": space == "Plain"}}
    undisturbed = attempts(space, "undisturbed", **keys)
    whole = undisturbed.run()
    assert whole.outcome is Outcome.COMPLETE

    trial = attempts(space, **keys)
    # The second interruption is of a trial that was resumed.
    if space == "GanSpace":
        assert trial.run(stop_after(1)) is None
    paused = trial.run(pause_after(2))
    assert paused.outcome is Outcome.PAUSED
    assert paused.model.sha256 is not None
    assert (paused.value, paused.best_epoch) == (trial.worth().value, trial.worth().number)
    if space == "Recompiles":
        # Whoever adopts it in the middle of its pause asks once more, and trains nothing.
        again = trial.run(pause_after(2))
        assert (again.outcome, again.value, max(trial.heard)) == (Outcome.PAUSED, paused.value, 2)
    resumed = trial.run()
    assert trial.heard == undisturbed.heard
    assert (resumed.value, resumed.best_epoch, resumed.metrics) == (whole.value, whole.best_epoch, whole.metrics)
    assert resumed.model.sha256 is not None


@pytest.mark.parametrize("structure", ["dict", "tuple"])
def test_several_inputs_and_outputs_with_losses_metrics_and_layers_of_their_own(attempts, tmp_path, structure):
    prepared = write_several(tmp_path / "several", structure)
    objective = {"metric": "val_weight_largest", "direction": "maximize"}
    names = {"options": {"names": structure == "dict"}}
    trial = attempts("Several", prepared=prepared, objective=objective, training=TRAINING, **names)
    finished = trial.run()
    assert {"val_colour_accuracy", "val_weight_largest", "weight_loss"} <= set(finished.metrics)
    assert finished.value == trial.worth().value
    assert finished.model is not None


def test_a_trial_interrupted_after_its_last_epoch_is_not_trained_again(attempts, images, deterministic):
    trial = attempts("GanSpace", **gan_keys(images))
    assert trial.run(stop_after(EPOCHS)) is None
    finished = trial.run()
    assert [epoch.epoch for epoch in trial.desk.epochs] == [EPOCHS]
    assert (finished.outcome, finished.value) == (Outcome.COMPLETE, trial.worth().value)


def test_a_metric_by_class_is_left_out(attempts):
    trial = attempts("NoisySpace", training=TRAINING)
    assert set(trial.run().metrics) == {"accuracy", "loss", "val_accuracy", "val_loss"}


def test_a_model_that_cannot_be_saved_costs_the_model_not_the_trial(attempts, images):
    finished = attempts("UnsaveableSpace", **gan_keys(images)).run()
    assert (finished.outcome, finished.model) == (Outcome.COMPLETE, None)
    assert set(finished.metrics) == {"d_loss", "g_loss"}
    assert finished.reason.startswith(
        "its model is not kept, because it cannot be saved: NotImplementedError: Object Gan was created by passing"
    )
    assert "must override `get_config()`" in finished.reason
    assert len(finished.reason) < 400


@pytest.mark.parametrize(
    ("passes", "result", "objective", "value"),
    [
        (False, "history", {"metric": "val_loss", "direction": "minimize"}, None),
        (True, "dict", {"metric": "score", "direction": "maximize"}, 0.25),
        (False, "dict", {"metric": "score", "direction": "maximize"}, 0.25),
        (True, "float", {"metric": "score", "direction": "maximize"}, 0.25),
    ],
)
def test_what_fit_returns_is_the_objective_where_no_epoch_logs_it(attempts, passes, result, objective, value):
    options = {"passes": passes, "result": result}
    trial = attempts("Returns", options=options, objective=objective, training=TRAINING | {"epochs": 2})
    finished = trial.run()
    assert finished.outcome is Outcome.COMPLETE
    assert len(trial.desk.epochs) == (2 if passes else 1)
    assert finished.value == (value if value is not None else trial.worth().value)
    assert ("val_loss" in finished.metrics) == (passes or result == "history")
    if not passes:
        trial.run()
        assert [epoch.epoch for epoch in trial.desk.epochs] == [1]


def test_a_trial_has_what_the_spec_has_for_its_hyperparameters(attempts):
    entries = {"units": 3, "in_fit": {"values": [1, 2], "default": 2}}
    trial = attempts("AsksInFit", hyperparameters={"entries": entries}, training=TRAINING | {"epochs": 1})
    assert trial.run().outcome is Outcome.COMPLETE
    asked = {message.name: message.value for message in trial.desk.said if isinstance(message, Suggest)}
    assert asked == {"in_fit": 2}
    built = next(message for message in trial.desk.said if isinstance(message, Built))
    assert built.parameters == (64 + 1) * 3 + (3 + 1) * 3


def test_a_fit_that_gives_no_objective_is_refused(attempts):
    trial = attempts("Returns", options={"passes": False, "result": "none"}, training=TRAINING)
    with pytest.raises(TypeError, match="fit returned NoneType, and its epochs do not log val_accuracy"):
        trial.run()
