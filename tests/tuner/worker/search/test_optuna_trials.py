"""What a worker asks Optuna for and leaves with it."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, distribution_to_json
from optuna.trial import TrialState

from storage import leases
from storage.summaries import public_params
from tuner.study.open_study import OpenStudy
from tuner.worker.search.optuna_trials import OptunaTrials

FEW = distribution_to_json(CategoricalDistribution(["relu", "tanh"]))
MORE = distribution_to_json(CategoricalDistribution(["relu", "tanh", "gelu"]))


@pytest.fixture
def record(create_study, make_spec):
    return create_study(make_spec("Fast", trials=4, constraints={"parameters": "<= 10"}))


@pytest.fixture
def begin(database, record):
    """The next trial, as its worker has it."""
    trials = OptunaTrials(OpenStudy(database, record))

    def begin():
        lease = leases.start_trial(database, leases.acquire(database, record.study_id, "worker", 60))
        return trials.open(lease)

    return begin


def test_choices_that_differ_under_one_name_are_told_apart(begin):
    first, second, third = begin(), begin(), begin()
    assert first.suggest("activation", FEW, "tanh") == "tanh"
    assert second.suggest("activation", MORE, "gelu") == "gelu"
    assert third.suggest("activation", MORE) in ("relu", "tanh", "gelu")
    assert first.frozen().params == {"activation": "tanh"}
    assert second.frozen().params == {"activation[of relu, tanh, gelu]": "gelu"}
    assert [set(public_params(each.frozen().params)) for each in (first, second, third)] == [{"activation"}] * 3


def test_what_a_trial_has_is_what_it_gets_again(begin):
    first, trial = begin(), begin()
    first.suggest("activation", FEW)
    assert trial.suggest("activation", MORE, "gelu") == trial.suggest("activation", MORE) == "gelu"
    assert len(trial.frozen().params) == 1


def test_a_value_that_more_choices_have_too_stays(begin):
    trial = begin()
    assert trial.suggest("activation", FEW, "tanh") == trial.suggest("activation", MORE) == "tanh"


@pytest.mark.parametrize(
    ("known", "other", "name"),
    [
        (IntDistribution(1, 8), FloatDistribution(0.0, 1.0), "x[as number]"),
        (FloatDistribution(0.1, 1.0), FloatDistribution(0.1, 1.0, log=True), "x[as log number]"),
        (IntDistribution(1, 8), IntDistribution(1, 16), "x"),
    ],
)
def test_other_kinds_of_numbers_are_told_apart_and_other_bounds_are_not(begin, known, other, name):
    first, second = begin(), begin()
    first.suggest("x", distribution_to_json(known))
    second.suggest("x", distribution_to_json(other))
    assert set(second.frozen().params) == {name}


def test_conditions_and_the_samplers_view_keep_their_places(begin):
    first, second = begin(), begin()
    for name in ("x[model=a]", "x@mirror"):
        first.suggest(name, distribution_to_json(IntDistribution(1, 8)))
        second.suggest(name, distribution_to_json(FloatDistribution(0.0, 1.0)))
    assert set(second.frozen().params) == {"x[model=a,as number]", "x[as number]@mirror"}
    assert set(public_params(second.frozen().params)) == {"x"}


def test_optunas_own_tools_find_names_violations_and_reasons(database, record, begin):
    trial = begin()
    trial.describe({"outcome": "infeasible", "reason": "too large", "metrics": {}})
    trial.tell(TrialState.COMPLETE, [0.5], {"parameters": 0.25})
    study = optuna.load_study(study_name=record.name, storage=database.optuna)
    assert study.metric_names == ["val_accuracy"]
    (told,) = study.trials
    assert told.user_attrs == {"outcome": "infeasible", "reason": "too large"}
    assert told.system_attrs["constraints"] == [0.25]
    assert told.constraints["parameters"] == 0.25
