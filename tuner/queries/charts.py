"""What a study's charts show, as data: bounded, however many trials there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution

from storage import history as stored
from storage import leaderboard, samples
from storage.history import Curve, StudyHistory
from storage.samples import Points
from tuner.study.storage_access import Storage, open_storage

USUAL_POINTS = 1000
_SAMPLED = 500
_CURVES = 10


@dataclass(frozen=True)
class TrialCurve:
    """The metrics of a trial by epoch.

    Attributes:
        trial: number of the trial.
        ended: the trial's outcome, or its state if it has no outcome.
        epochs: numbers of the epochs, in order.
        metrics: metrics of each of these epochs, by name.
    """

    trial: int
    ended: str
    epochs: list[int]
    metrics: list[dict[str, float]]


@dataclass(frozen=True)
class Dimension:
    """A hyperparameter as an axis.

    Attributes:
        name: public name of the hyperparameter.
        log: whether it is searched on a logarithmic scale.
        choices: the choices of a categorical hyperparameter, in order; None for numbers.
    """

    name: str
    log: bool
    choices: list[Any] | None


@dataclass(frozen=True)
class Dot:
    """A complete trial with the values of its hyperparameters.

    Attributes:
        trial: number of the trial.
        value: value of the leading objective.
        params: values of the hyperparameters by their public names.
    """

    trial: int
    value: float
    params: dict[str, Any]


@dataclass(frozen=True)
class ParameterChart:
    """Trials by their hyperparameters, for parallel coordinates and slices.

    Attributes:
        metric: name of the leading objective.
        maximize: whether higher values of the metric are better.
        dimensions: the hyperparameters, one for each axis.
        dots: the complete trials; an even selection of them if there are too many to draw.
    """

    metric: str
    maximize: bool
    dimensions: list[Dimension]
    dots: list[Dot]


def history_chart(study: str, points: int = USUAL_POINTS, *, storage: Storage = None) -> Points:
    """How the leading objective developed.

    Args:
        points: about so many at most; of each group of neighbours the best is one.
    """
    with open_storage(storage) as database:
        return samples.points(database, study, points)


def curves_chart(study: str, trials: Sequence[int] = (), *, storage: Storage = None) -> list[TrialCurve]:
    """Learning curves, by number; trials without epochs have none.

    Args:
        trials: whose; without them those of the best, of the newest, and of those that run.
    """
    with open_storage(storage) as database:
        numbers = list(trials)
        if not numbers:
            best = leaderboard.best(database, study, _CURVES)
            newest = leaderboard.trials(database, study, descending=True, limit=_CURVES)
            running = leaderboard.trials(database, study, state="running", limit=_CURVES)
            numbers = [each.trial for each in (*best, *newest, *running)]
        found = stored.curves_of(database, study, numbers)
        ended = stored.states_of(database, study, list(found))
    return [_curve(number, ended[number], found[number]) for number in sorted(found)]


def _curve(number: int, ended: str, curve: Curve) -> TrialCurve:
    return TrialCurve(number, ended, list(curve.epochs), list(curve.metrics))


def importances_chart(study: str, *, storage: Storage = None) -> dict[str, dict[str, float]]:
    """By objective, how much each hyperparameter mattered: shares that add up to 1; empty with too few trials.

    Of a large study a part of the trials is looked at, evenly over it.
    """
    from tuner.queries.importances import importances

    with open_storage(storage) as database:
        return importances(stored.history(database, study, most=_SAMPLED, curves=False)) or {}


def parameters_chart(study: str, *, storage: Storage = None) -> ParameterChart:
    """Complete trials by their hyperparameters."""
    from tuner.queries.measures import measures

    with open_storage(storage) as database:
        found = stored.history(database, study, most=_SAMPLED, curves=False)
    leading = measures(found)[0]
    values = {trial.summary.trial: leading.of(trial) for trial in found.trials}
    dots = [
        Dot(trial.summary.trial, value, trial.summary.params)
        for trial in found.trials
        if trial.summary.state == "complete" and (value := values[trial.summary.trial]) is not None
    ]
    return ParameterChart(leading.name, leading.maximize, _dimensions(found), dots)


def _dimensions(found: StudyHistory) -> list[Dimension]:
    made: dict[str, Dimension] = {}
    for trial in found.trials:
        for name, (_, distribution) in trial.sampled.items():
            for public in leaderboard.public_params({name: None}):
                choices = list(distribution.choices) if isinstance(distribution, CategoricalDistribution) else None
                made.setdefault(public, Dimension(public, bool(getattr(distribution, "log", False)), choices))
    return list(made.values())
