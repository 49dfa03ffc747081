"""What a trial is worth, of curves that luck has a part in."""

from __future__ import annotations

import pytest

from tuner.spec.objective import Objective
from tuner.trial.worth import BestEpoch, best_epoch

ACCURACY = Objective(metric="val_accuracy", direction="maximize")
LOSS = Objective(metric="val_loss", direction="minimize")


def _curve(*values, metric="val_accuracy"):
    return [{} if value is None else {metric: value, "loss": 1.0} for value in values]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("values", "number", "value"),
    [
        ((0.5,), 1, 0.5),
        # A lucky first epoch is worth as much as the second one lets it.
        ((0.75, 0.5), 1, 0.625),
        ((0.5, 0.75), 2, 0.625),
        ((0.5, 0.5), 1, 0.5),
        ((0.75, 0.5, 0.625, 0.6875), 4, 0.65625),
        # One lucky epoch is worth less than two good ones.
        ((0.5, 0.9375, 0.5, 0.75, 0.75), 5, 0.75),
        ((0.5, 0.625, 0.75, 0.625), 3, 0.6875),
        # Of equals the first.
        ((0.25, 0.5, 0.5, 0.5), 3, 0.5),
        # Epochs that did not log it are none.
        ((None, None, 0.5), 3, 0.5),
        ((None, 0.75, 0.5, None, 0.875), 5, 0.6875),
    ],
)
def test_the_best_epoch_is_of_the_best_pair(values, number, value):
    found = best_epoch(ACCURACY, _curve(*values))
    assert found is not None and (found.number, found.value) == (number, value)


def test_less_is_better_for_a_loss_and_nothing_is_known_of_nothing():
    assert best_epoch(LOSS, _curve(1.0, 0.5, 0.75, metric="val_loss")) == BestEpoch(3, 0.625)
    assert best_epoch(ACCURACY, []) is None
    assert best_epoch(ACCURACY, _curve(1.0, metric="val_loss")) is None
