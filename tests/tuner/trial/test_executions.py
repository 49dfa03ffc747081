"""Trials that are trained several times, and callbacks that a spec asks for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean, stdev

import pytest

from tests.attempts import SPACES
from tuner.data.cache import prepare
from tuner.errors import SpaceError
from tuner.trial.assignment import trial_seed
from tuner.trial.outcome import Outcome

TRAINING = {"epochs": 2, "batch_size": 16, "early_stopping": None}


def stop_after(*epochs):
    return lambda done: "stop" if done.epoch in epochs else "continue"


def test_the_first_execution_has_the_trials_seed():
    assert trial_seed(7, 3, 0) == trial_seed(7, 3)
    assert len({trial_seed(7, 3, execution) for execution in range(3)}) == 3


def test_executions_differ_are_averaged_and_the_best_ones_model_is_kept(attempts, deterministic):
    once = attempts("Plain", "once", training=TRAINING)
    alone = once.run()
    trial = attempts("Plain", training=TRAINING | {"executions_per_trial": 3})
    finished = trial.run()
    assert [(done.execution, done.epoch) for done in trial.desk.epochs] == [
        (0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)
    ]  # fmt: skip
    assert {epoch: metrics for epoch, metrics in trial.heard.items() if epoch < 3} == once.heard

    best = [fmean(trial.heard[epoch]["val_accuracy"] for epoch in pair) for pair in ((1, 2), (3, 4), (5, 6))]
    assert best[0] == alone.value
    assert len({tuple(trial.heard[epoch].values()) for epoch in (1, 3, 5)}) == 3
    assert finished.value == pytest.approx(fmean(best))
    assert finished.metrics["val_accuracy_spread"] == pytest.approx(stdev(best))
    first = [trial.heard[epoch]["val_accuracy"] for epoch in (1, 3, 5)]
    told = [done.value for done in trial.desk.epochs]
    assert (told[::2], told[1::2]) == (first, best)
    place = best.index(max(best))
    number = max((2 * place + 1, 2 * place + 2), key=lambda epoch: (trial.heard[epoch]["val_accuracy"], -epoch))
    kept = trial.heard[number]["val_accuracy"]
    assert (finished.metrics["val_accuracy_best"], finished.metrics["executions"]) == (kept, 3)
    assert finished.best_epoch == number
    assert trial.score(finished)["accuracy"] == pytest.approx(kept)


def test_a_trial_goes_on_in_the_execution_in_which_it_was(attempts, deterministic):
    training = {"training": TRAINING | {"executions_per_trial": 2}}
    undisturbed = attempts("Plain", "undisturbed", **training)
    whole = undisturbed.run()
    for epoch in (1, 2, 3):
        trial = attempts("Plain", f"after-{epoch}", **training)
        assert trial.run(stop_after(epoch)) is None
        resumed = trial.run()
        assert trial.desk.epochs[0].epoch == epoch
        assert trial.heard == undisturbed.heard
        assert (resumed.value, resumed.best_epoch, resumed.metrics) == (whole.value, whole.best_epoch, whole.metrics)


def test_a_pruned_trial_has_no_further_executions(attempts):
    trial = attempts("Plain", training=TRAINING | {"executions_per_trial": 2})
    finished = trial.run(lambda done: "prune")
    assert (finished.outcome, len(trial.desk.epochs)) == (Outcome.PRUNED, 1)


def test_callbacks_are_fresh_for_each_execution_and_remember_where_they_were(attempts, code, deterministic):
    training = TRAINING | {"callbacks": [code("Written"), code("patient")]}
    undisturbed = attempts("Plain", "undisturbed", training=training)
    undisturbed.run()
    trial = attempts("Plain", training=training, objective={"metric": "counted", "direction": "maximize"})
    assert trial.run(stop_after(1)) is None
    assert trial.run().value == 1.5
    assert trial.heard == undisturbed.heard
    assert (trial.artifacts.callbacks_folder(0) / "made.txt").read_text() == "0 0 1\n0 0 2\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "it gave NoneType, not a keras.callbacks.Callback"),
        ("missing", "has no 'missing'"),
        ("LATENT", "4 cannot be called"),
    ],
)
def test_what_is_no_factory_of_callbacks_is_said(attempts, code, name, said):
    trial = attempts("Plain", training=TRAINING | {"callbacks": [code(name)]})
    with pytest.raises(SpaceError, match=rf"training.callbacks .*{said}"):
        trial.run()


@pytest.mark.fast
def test_tensorboard_gets_the_metrics_and_the_hyperparameters(attempts, images):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    objective = {"metric": "loss", "direction": "minimize"}
    trial = attempts("NoisySpace", objective=objective, training=TRAINING | {"tensorboard": True})
    trial.run()
    folder = trial.artifacts.tensorboard_folder() / "00000"
    trained, validated = EventAccumulator(str(folder)), EventAccumulator(str(folder / "validation"))
    trained.Reload(), validated.Reload()
    assert [event.step for event in validated.Tensors("epoch_accuracy")] == [0, 1]
    assert "_hparams_/session_start_info" in trained.PluginTagToContent("hparams")


def test_a_model_runs_eagerly_if_asked_to(attempts):
    trial = attempts("Eager", training=TRAINING | {"run_eagerly": True, "epochs": 1})
    assert trial.run().metrics["eager"] == 1


def test_a_trial_on_several_devices_is_mirrored_resumed_and_scores_as_on_one(attempts, make_spec, cache, tmp_path):
    # The last batch of the 45 images is a single one: one of the devices gets nothing.
    training = TRAINING | {"batch_size": 11}
    spec = make_spec(training=training)
    spec = spec.model_copy(update={"space": spec.space.model_copy(update={"name": f"{SPACES}:Plain"})})
    prepared = prepare(spec.data, cache).folder
    command = [sys.executable, str(Path(__file__).with_name("mirrored.py")), spec.model_dump_json()]
    root = str(Path(__file__).parents[3])
    ran = subprocess.run(
        [*command, str(prepared), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["devices"] == 2
    assert found["resumed"] == found["whole"]
    first, second = found["values"]
    assert first == second
    assert found["kept"] == found["score"]["accuracy"]

    alone = attempts("Plain", training=training)
    alone.run()
    for epoch, metrics in alone.heard.items():
        assert found["whole"][str(epoch)]["loss"] == pytest.approx(metrics["loss"], rel=0.2)
