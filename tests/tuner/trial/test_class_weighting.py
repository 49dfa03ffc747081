"""`class_weight: auto` weighs a rare class, and breaks nothing that works in Keras."""

from __future__ import annotations

import numpy as np
import pytest

from tests.attempts import SPACES
from tuner.spec.choices import Space
from tuner.trial.messages import Checked, StudyRefused
from tuner.trial.outcome import Outcome
from tuner.trial.preflight import Request, run

WAYS = {
    "train_step": ("Rare", "the model has a `train_step` of its own"),
    "loss": ("Rare", "the loss elementwise is the search space's own"),
    "class_weight": ("RareFit", "the search space has a `fit` of its own"),
    "hyperparameter": ("RareFit", "the search space has a `fit` of its own"),
    "loop": ("RareFit", "the search space has a `fit` of its own"),
}


@pytest.fixture
def rare(tmp_path):
    """The data of a spec: of 100 examples 8 are of the second class."""
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=(np.arange(100) < 8).astype(np.int64))
    return {"kind": "npz", "path": str(tmp_path / "data.npz")}


@pytest.fixture
def check(make_spec, rare, tmp_path, monkeypatch):
    """The preflight's last word on a space of models.py, with ``training.class_weight``."""
    # A test's process has its runtime already.
    monkeypatch.setattr("tuner.trial.runtime.limit_threads", lambda threads: None)

    def check(space, way, class_weight="auto"):
        training = {
            "epochs": 1,
            "batch_size": 16,
            "early_stopping": None,
            "run_eagerly": True,
            "class_weight": class_weight,
        }
        spec = make_spec(data=rare, training=training)
        named = Space.model_validate({"name": f"{SPACES}:{space}", "way": way})
        said = []
        run(Request(spec=spec.model_copy(update={"space": named}), cache=tmp_path, log=tmp_path / "log"), said.append)
        return next(each for each in reversed(said) if isinstance(each, Checked | StudyRefused))

    return check


@pytest.mark.parametrize("way", WAYS)
def test_training_of_ones_own_gets_no_weights_and_the_launch_says_so(check, way):
    space, reason = WAYS[way]
    checked = check(space, way)
    assert isinstance(checked, Checked), checked
    assert checked.class_weights is None
    (warning,) = (each for each in checked.warnings if "class weights" in each)
    assert reason in warning
    assert "`training.class_weight: balanced` asks for them" in warning


def test_training_of_keras_is_weighed(check):
    checked = check("Rare", "plain")
    assert checked.warnings == []
    assert checked.class_weights[1] > 5 * checked.class_weights[0]


@pytest.mark.parametrize("way", ["train_step", "class_weight"])
def test_weights_that_are_asked_for_and_not_taken_are_refused_with_the_way_out(check, way):
    space, reason = WAYS[way]
    refused = check(space, way, "balanced")
    assert isinstance(refused, StudyRefused)
    assert reason in refused.message
    assert "`training.class_weight: none` leaves the weights out" in refused.message


def test_a_trial_trains_as_its_preflight_did(attempts, rare):
    training = {"epochs": 1, "batch_size": 16, "early_stopping": None, "run_eagerly": True}
    for space, way in (("Rare", "train_step"), ("RareFit", "class_weight")):
        finished = attempts(space, way, options={"way": way}, data=rare, training=training).run()
        assert finished.outcome is Outcome.COMPLETE
