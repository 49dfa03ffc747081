"""What a ``fit`` of the space's own is given, and what becomes of what it says."""

from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest

from tests.tuner.trial import fit_spaces
from tests.tuner.trial.fit_spaces import Arrays, ByName, Own, OwnLoop, TakesLittle, Witness, Wrapped
from tuner.data.batches import BatchFormat
from tuner.data.prepared import TargetFacts
from tuner.trial.callbacks import returned_metrics
from tuner.trial.outcome import Outcome
from tuner.trial.space_fit import Fitting, TrainingData

LABELS = np.arange(45) % 2
INPUTS = np.arange(45, dtype=np.float32)[:, None] / 45


@pytest.fixture
def data(table_data):
    """Thirty examples for training, fifteen for validation."""
    target = TargetFacts(name="", task="classification", dtype="int64", class_names=("even", "odd"))
    return table_data({"number": INPUTS[:, 0]}, LABELS, target)


def fitted(space, data, *, hp=None, weights=None, epochs=2, initial_epoch=0, most_epochs=None):
    """Trains with batches of five; the witness, and what ``fit`` returned."""
    witness, network = Witness(), space.build(keras_tuner.HyperParameters())
    training = TrainingData(data, BatchFormat(class_weights=weights), 5, 0, validates=True)
    callbacks = [witness, keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: training.set_epoch(epoch))]
    result = Fitting(
        space,
        hp or keras_tuner.HyperParameters(),
        network,
        training,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=callbacks,
        most_epochs=most_epochs,
    ).run()
    return witness, result


@pytest.mark.parametrize(
    ("given", "epochs", "steps", "tested"),
    [
        ({}, 2, 6, 3),
        ({"batch_size": 10}, 2, 3, 2),
        ({"batch_size": 10, "validation_batch_size": 3}, 2, 3, 5),
        ({"epochs": 3}, 3, 6, 3),
        ({"verbose": 0, "epochs": 1, "batch_size": 30}, 1, 1, 1),
        ({"validation_data": None}, 2, 6, 0),
        ({"steps_per_epoch": 3}, 2, 3, 3),
        ({"initial_epoch": 1}, 1, 6, 3),
        ({"shuffle": False}, 2, 6, 3),
    ],
)
@pytest.mark.parametrize("space", [Own, ByName])
def test_what_fit_says_of_batches_and_epochs_holds(data, space, given, epochs, steps, tested):
    witness, _ = fitted(space(**given), data)
    assert (witness.epochs, witness.steps, witness.tested) == (epochs, steps, tested)


def test_callbacks_of_fits_own_run_beside_those_that_it_was_given(data):
    mine = Witness()
    witness, _ = fitted(Own(callbacks=[mine]), data)
    assert mine.steps == witness.steps == 6


def test_callbacks_that_fit_adds_to_the_list_are_there_once_though_fit_is_called_again(data):
    class Adding(Own):
        def fit(self, hp, model, *args, **kwargs):
            kwargs["callbacks"] += [Witness()]
            self.callbacks = kwargs["callbacks"]
            return super().fit(hp, model, *args, **kwargs)

    space = Adding(epochs=1)
    witness, _ = fitted(space, data)
    assert witness.epochs == 1
    assert [type(each) for each in space.callbacks].count(Witness) == 2


def test_a_fit_that_takes_no_callbacks_is_seen_all_the_same(data):
    witness, _ = fitted(TakesLittle(), data)
    assert (witness.epochs, witness.steps, witness.tested) == (2, 6, 3)


def test_a_model_around_the_one_that_was_built_has_the_batches_that_it_asks_for(data):
    witness, _ = fitted(Wrapped(), data)
    assert witness.steps == 10


def test_a_fit_that_is_for_arrays_gets_arrays_in_their_order(data):
    space = Arrays()
    witness, _ = fitted(space, data)
    x, y, (val_x, val_y), weights = space.seen
    np.testing.assert_array_equal(np.concatenate([x["number"], val_x["number"]]), INPUTS[:, 0])
    np.testing.assert_array_equal(np.concatenate([y, val_y]), LABELS)
    assert (weights, witness.steps) == (None, 6)


def test_weights_come_beside_arrays_by_name(data):
    space = Arrays(batch_size=30)
    witness, _ = fitted(space, data, weights=(1.0, 3.0))
    np.testing.assert_array_equal(space.seen[3], np.where(LABELS[:30] == 1, 3.0, 1.0))
    assert witness.steps == 1


def test_shuffle_is_what_fit_says(data):
    def orders(shuffle):
        training = TrainingData(data, BatchFormat(), 5, 0, validates=False)
        batches = training.training_batches(30, shuffle=shuffle)
        found = []
        for epoch in range(2):
            training.set_epoch(epoch)
            found.append(next(iter(batches))[0]["number"].numpy().tolist())
        return found

    first, second = orders(True)
    assert first != second
    assert sorted(first) == sorted(second)
    assert orders(False) == [INPUTS[:30, 0].tolist()] * 2


def test_the_most_epochs_hold_whatever_fit_asks_for(data):
    witness, _ = fitted(Own(epochs=7), data, epochs=1, most_epochs=1)
    assert witness.epochs == 1


def test_a_look_at_one_epoch_validates_though_fit_validates_every_second_one(data):
    assert fitted(Own(validation_freq=2), data, epochs=1, most_epochs=1)[0].tested == 3
    assert fitted(Own(validation_freq=2), data, epochs=3)[0].tested == 0


def test_an_error_of_fits_own_is_not_taken_for_a_keyword_given_twice(data):
    class Mistaken(Own):
        def fit(self, hp, model, *args, **kwargs):
            raise TypeError("f() got multiple values for keyword argument 'nothing'")

    with pytest.raises(TypeError, match="nothing"):
        fitted(Mistaken(), data)


def test_keras_has_its_fit_back_afterwards(data):
    before = keras.Model.fit
    fitted(Own(batch_size=10), data)
    assert keras.Model.fit is before


LOOP = {"metric": "my_metric", "direction": "minimize"}
TRAINING = {"epochs": 2, "batch_size": 10, "early_stopping": None}


@pytest.fixture
def own_attempts(attempts):
    """``attempts`` of a space of fit_spaces.py."""

    def make(space, **keys):
        name = f"{fit_spaces.__file__}:{space}"
        return attempts("Plain", options={"name": name}, **keys)

    return make


def test_a_model_without_compile_is_trained_by_its_spaces_own_loop(own_attempts):
    trial = own_attempts(OwnLoop.__name__, objective=LOOP, training=TRAINING)
    finished = trial.run()
    assert finished.outcome is Outcome.COMPLETE, finished.reason
    assert [epoch.metrics["my_metric"] for epoch in trial.desk.epochs] == [
        trial.heard[epoch]["my_metric"] for epoch in (1, 2)
    ]
    assert (finished.best_epoch, finished.value) == (trial.worth().number, trial.worth().value)
    assert finished.model is not None


def test_what_fit_returns_is_read_as_keras_tuner_reads_it():
    history = keras.callbacks.History()
    history.history = {"val_loss": [3.0, 1.0], "loss": [2.0, 2.5]}
    assert returned_metrics(2, "score") == {"score": 2.0}
    assert returned_metrics(history, "val_loss") == {"val_loss": 1.0, "loss": 2.5}
    assert returned_metrics([1.0, np.float32(2)], "score") == {"score": 1.5}
    assert returned_metrics([history, {"val_loss": 2.0, "mae": 1.0}], "val_loss") == {"val_loss": 1.5}
    for nothing in (None, [], ["a"]):
        with pytest.raises(TypeError, match="or a list of these"):
            returned_metrics(nothing, "score")


def test_a_loop_that_calls_no_callbacks_is_known_by_what_it_returns(own_attempts):
    finished = own_attempts("OwnLoopWithoutCallbacks", objective=LOOP, training=TRAINING).run()
    assert finished.outcome is Outcome.COMPLETE, finished.reason
    assert set(finished.metrics) == {"my_metric", "other"}
    assert finished.value == finished.metrics["my_metric"]
