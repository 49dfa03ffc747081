"""A trial's hyperparameters, given again."""

from __future__ import annotations

from typing import Any

import pytest

from tuner.champion.choosing.retraining_process import known_value
from tuner.errors import ExportError
from tuner.hyperparameters import TrialHyperParameters


def _build(hp: Any) -> dict[str, Any]:
    kind = hp.Choice("kind", ["small", "large"])
    with hp.conditional_scope("kind", ["large"]):
        if kind == "large":
            # Unevenly spaced, and turned round: the sampler knows these by other values.
            hp.Int("units", 8, 64, step=2, sampling="log")
            hp.Float("rate", 0.1, 0.9, sampling="reverse_log")
    return dict(hp.values)


def test_every_kind_of_value_is_given_as_it_was() -> None:
    params = {"kind": "large", "units": 32, "rate": 0.37}
    assert _build(TrialHyperParameters(known_value, params)) == params


def test_what_the_trial_did_not_have_is_refused() -> None:
    with pytest.raises(ExportError, match=r"no value for hyperparameter rate.*the search space has changed since"):
        _build(TrialHyperParameters(known_value, {"kind": "large", "units": 32}))
