"""Several objectives and constraints in queries, on every kind of database."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from storage import leaderboard, leases
from storage.database import Database
from storage.studies import StudyRecord

NewStudy = Callable[..., StudyRecord]
OBJECTIVES = [{"metric": "val_accuracy", "direction": "maximize"}, {"metric": "parameters", "direction": "minimize"}]

CONSTRAINED = {"constraints": {"parameters": "<= 1000"}}


def run(
    database: Database, study: StudyRecord, values: list[float], violation: float | None = None, **known: Any
) -> None:
    """A complete trial of a launched study from its lease to its end."""
    lease = leases.acquire(database, study.study_id, "w", 60)
    assert lease is not None
    lease = leases.start_trial(database, lease)
    assert lease.trial_id is not None and lease.number is not None
    measures = {each["metric"]: value for each, value in zip(study.objectives, values, strict=True)}
    result = leases.TrialResult(
        lease.trial_id, lease.number, "complete", value=values[0], measures=measures, violation=violation, **known
    )
    leases.close(database, lease, result)
    assert leases.untold(database, study.study_id) == [result]
    database.optuna.set_trial_state_values(lease.trial_id, TrialState.COMPLETE, values)


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize", "minimize", "maximize"]])
def test_the_front_of_a_plain_study_agrees_with_optuna(database: Database, directions: list[str]) -> None:
    random.seed(5)
    study = optuna.create_study(study_name="plain", storage=database.optuna, directions=directions)
    study.add_trials(
        [create_trial(values=[float(random.randrange(5)) for _ in directions]) for _ in range(20)]
        + [
            create_trial(state=TrialState.FAIL),
            create_trial(values=[math.inf if d == "minimize" else -math.inf for d in directions]),
        ]
    )
    found = leaderboard.best(database, "plain", None)
    assert {each.trial for each in found} == {each.number for each in study.best_trials}
    sign = -1 if directions[0] == "maximize" else 1
    assert [each.value for each in found] == sorted((each.value for each in found), key=lambda value: sign * value)
    assert leaderboard.best(database, "plain", 1) == found[:1]
    assert leaderboard.status(database, "plain").best_trial == found[0].trial
    assert leaderboard.overview(database)[0].best_trial == found[0].trial
    assert leaderboard.number_of_objectives(database, "plain") == len(directions)


def test_trials_within_the_constraints_come_first(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=5, spec=CONSTRAINED)
    for value, violation in ((0.9, 0.5), (0.5, 0.0), (0.95, 0.1), (0.7, 0.0)):
        run(database, study, [value], violation, checkpoint="kept.keras", checkpoint_size=1)
    best = leaderboard.best(database, "digits", 9)
    assert [(each.trial, each.violation) for each in best] == [(3, 0.0), (1, 0.0), (2, 0.1), (0, 0.5)]
    assert leases.checkpoints(database, study.study_id, study.objectives) == [3, 1, 2, 0]
    now = leaderboard.status(database, "digits")
    assert (now.best_trial, now.best_value, now.objectives) == (3, 0.7, study.objectives)


def test_a_study_without_a_trial_within_the_constraints_has_no_best(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=2, spec=CONSTRAINED)
    run(database, study, [0.9], 0.5)
    now = leaderboard.status(database, "digits")
    assert (now.complete, now.best_trial, now.best_value) == (1, None, None)
    assert [each.trial for each in leaderboard.best(database, "digits", 5)] == [0]


def test_the_front_of_a_launched_study_and_its_measures(database: Database, new_study: NewStudy) -> None:
    study = new_study(budget=7, objectives=OBJECTIVES, spec=CONSTRAINED)
    values = [(0.5, 10.0), (0.9, 30.0), (0.9, 20.0), (0.7, 20.0), (0.99, 5.0)]
    for number, each in enumerate(values):
        run(database, study, list(each), 0.2 if number == 4 else 0.0, checkpoint="kept.keras", checkpoint_size=1)
    front = leaderboard.best(database, "digits", None)
    assert [(each.trial, each.measures) for each in front] == [
        (2, {"val_accuracy": 0.9, "parameters": 20.0}),
        (0, {"val_accuracy": 0.5, "parameters": 10.0}),
    ]
    assert [each.trial for each in leaderboard.best(database, "digits", 1)] == [2]
    assert leases.checkpoints(database, study.study_id, OBJECTIVES) == [2, 0, 1, 3, 4]
    # A model that is gone still keeps what it is better than off the front.
    leases.forget_checkpoint(database, study.study_id, 2)
    assert leases.checkpoints(database, study.study_id, OBJECTIVES) == [0, 1, 3, 4]
    by_size = leaderboard.trials(database, "digits", sort="parameters")
    assert [each.trial for each in by_size] == [4, 0, 2, 3, 1]
    assert leaderboard.trial(database, "digits", 4).summary.violation == 0.2
