"""What was scored is what is kept, whatever callbacks and optimizers do to weights around a validation."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from storage.artifacts import Artifact

KEYS = {
    "objective": "val_loss",
    # Eagerly: tracing would take longer than these steps do.
    "training": {"epochs": 3, "batch_size": 16, "early_stopping": None, "run_eagerly": True},
}
WAYS = {
    "swapped before ours": {"callback": "swapping"},
    "swapped after ours": {"callback": "swapping", "place": "after"},
    "swapped on epochs, before ours": {"callback": "swapping_on_epoch"},
    "swapped on epochs, after ours": {"callback": "swapping_on_epoch", "place": "after"},
    "averaged at the end of an epoch": {"callback": "Averaging"},
    "restored at the end of an epoch": {"callback": "Restoring", "place": "after"},
    "averaged by the optimizer at the end": {},
    "averaged by the optimizer every other step": {"overwrites": 2},
}


def assert_kept_as_scored(trial, finished):
    kept = {f"val_{name}": value for name, value in trial.score(finished).items()}
    recorded = {name: value for name, value in finished.metrics.items() if name.startswith("val_")}
    # The trial computes step by step, the score in a graph, which may round the last bit of a float32 otherwise.
    assert kept == pytest.approx(recorded, rel=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_the_kept_model_scores_what_was_recorded_also_of_a_trial_that_was_resumed(attempts, way, deterministic):
    whole = attempts("Averaged", "whole", options=WAYS[way], **KEYS)
    undisturbed = whole.run()
    assert_kept_as_scored(whole, undisturbed)
    trial = attempts("Averaged", options=WAYS[way], **KEYS)
    assert trial.run(lambda done: "stop" if done.epoch == 2 else "continue") is None
    resumed = trial.run()
    assert trial.heard == whole.heard
    assert_kept_as_scored(trial, resumed)


@pytest.mark.parametrize("factory", ["swapping", "swapping_on_epoch"])
def test_likewise_where_the_spec_names_the_callback(attempts, code, factory, deterministic):
    keys = KEYS | {"training": KEYS["training"] | {"callbacks": [code(factory)]}}
    whole = attempts("Averaged", "whole", **keys)
    assert_kept_as_scored(whole, whole.run())
    trial = attempts("Averaged", **keys)
    assert trial.run(lambda done: "stop" if done.epoch == 1 else "continue") is None
    assert_kept_as_scored(trial, trial.run())
    assert trial.heard == whole.heard


def test_a_callback_that_logs_the_objective_by_itself_has_scored_what_it_leaves_in_the_model(attempts):
    trial = attempts("Averaged", options={"callback": "Scoring", "place": "after"}, **KEYS)
    finished = trial.run()
    with trial.artifacts.fetched(Artifact(finished.model.key, finished.model.size, finished.model.sha256)) as file:
        weights = keras.saving.load_model(file).get_weights()
    assert float(sum(np.abs(weight).sum() for weight in weights)) == pytest.approx(
        finished.metrics["val_loss"], rel=1e-6
    )
