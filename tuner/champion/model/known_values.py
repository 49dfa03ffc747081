"""A trial's hyperparameters for a space that is built once more."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from tuner.errors import ExportError


def known_value(name: str, distribution: BaseDistribution, value: Any) -> Any:
    """Answers ``TrialHyperParameters`` with the values that it was given, and nothing else.

    Raises:
        ExportError: it was given none.
    """
    if value is not None:
        return value
    # A value that the sampler knows by another one is asked for a second time, as the only one of its kind.
    if isinstance(distribution, IntDistribution | FloatDistribution) and distribution.single():
        return distribution.low
    raise ExportError(
        f"it has no value for hyperparameter {name}, because the search space has changed since the trial ran"
    )
