"""Which exception is which end."""

from __future__ import annotations

import pytest
from keras_tuner.errors import FailedTrialError, FatalError, FatalRuntimeError, FatalTypeError, FatalValueError

from tuner.trial.channel import NoSuggestion
from tuner.trial.failure import Infeasible, describe
from tuner.trial.outcome import Outcome


@pytest.mark.parametrize("error", [FatalError, FatalRuntimeError, FatalTypeError, FatalValueError])
def test_keras_tuners_fatal_errors_end_the_search(error):
    found = describe(error("the data is gone"))
    assert (found.outcome, found.ends_study) == (Outcome.FAILED, True)
    assert found.reason == f"{error.__name__}: the data is gone"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (FailedTrialError("no"), Outcome.INFEASIBLE),
        (Infeasible("no"), Outcome.INFEASIBLE),
        (NoSuggestion("hyperparameter units: no"), Outcome.FAILED),
        (RuntimeError("no"), Outcome.FAILED),
    ],
)
def test_other_errors_are_the_trials_alone(error, outcome):
    found = describe(error)
    assert (found.outcome, found.ends_study) == (outcome, False)
