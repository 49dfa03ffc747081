"""Which hyperparameters mattered: PED-ANOVA on the trials in memory, without a second look at the database.

Watanabe et al., PED-ANOVA, IJCAI 2023 (https://arxiv.org/abs/2304.10255), as Optuna has it. It is deterministic.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from storage.history import StudyHistory, TrialHistory
from storage.parameter_names import SAMPLERS_VIEW
from tuner.queries.measures import Measure, measures

FEWEST_TRIALS = 10
_TOP_TRIALS = 5


def importances(history: StudyHistory) -> dict[str, dict[str, float]] | None:
    """By objective, each hyperparameter's share, adding up to 1; None with too few complete trials.

    A conditional hyperparameter keeps its condition in its name, and counts among the trials that have it.
    """
    every = measures(history)
    told = [_frozen(trial, every) for trial in history.trials if trial.summary.state == "complete"]
    trials = [trial for trial in told if trial is not None]
    if len(trials) < FEWEST_TRIALS:
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize"] * len(every))
    study.add_trials(trials)
    return {each.name: _shares(study, each, len(trials)) for each in every}


def _frozen(trial: TrialHistory, every: tuple[Measure, ...]) -> FrozenTrial | None:
    values = [each.of(trial) for each in every]
    if any(value is None for value in values):
        return None
    sampled = {name: each for name, each in trial.sampled.items() if not name.endswith(SAMPLERS_VIEW)}
    made = create_trial(
        state=TrialState.COMPLETE,
        values=[
            -value if each.maximize else value for each, value in zip(every, values, strict=True) if value is not None
        ],
        params={name: value for name, (value, _) in sampled.items()},
        distributions={name: distribution for name, (_, distribution) in sampled.items()},
    )
    made.datetime_start = made.datetime_complete = datetime(2000, 1, 1, tzinfo=UTC)
    return made


def _shares(study: optuna.Study, measure: Measure, count: int) -> dict[str, float]:
    # It loads scikit-learn, SciPy and pandas, which no other question needs.
    from optuna.importance import PedAnovaImportanceEvaluator

    # At least five trials at the top, as the evaluator's documentation asks for.
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(0.1, _TOP_TRIALS / count))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = evaluator.evaluate(study, target=lambda trial: trial.values[measure.index])
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else {}
