"""What a worker writes through Optuna, which knows no fencing token, once its trial is another worker's."""

from __future__ import annotations

import threading

import pytest
from optuna.distributions import IntDistribution, distribution_to_json

from storage import leases
from storage.errors import LeaseLost
from tuner.study.open_study import OpenStudy
from tuner.trial.messages import Suggest
from tuner.worker.answering import Answerer
from tuner.worker.metrics import WorkerMetrics
from tuner.worker.patience import Patience
from tuner.worker.promoting import Promotion
from tuner.worker.remaining_time import RemainingTime
from tuner.worker.running import RunningTrial
from tuner.worker.search.optuna_trials import OptunaTrials

UNITS = distribution_to_json(IntDistribution(4, 8))


@pytest.fixture
def spec(make_spec):
    return make_spec("Fast", trials=1)


@pytest.fixture
def record(create_study, spec):
    return create_study(spec)


@pytest.fixture
def trials(database, record):
    return OptunaTrials(OpenStudy(database, record))


@pytest.fixture
def adopt(database, record):
    """Adopts the only trial."""
    return lambda: leases.acquire(database, record.study_id, "adopter", 60)


@pytest.fixture
def held(database, record, trials):
    """A trial as its worker knows it. No process of it is needed."""
    lease = leases.start_trial(database, leases.acquire(database, record.study_id, "frozen", 0))
    return RunningTrial(lease=lease, live=trials.open(lease), process=None, assignment=None, signs=None)


def test_no_hyperparameter_is_drawn_for_an_adopted_trial(database, record, trials, held, adopt):
    adopter = adopt()
    patience = Patience(threading.Event())
    study = OpenStudy(database, record)
    promotion = Promotion(study, trials.pruner)
    answerer = Answerer(study, patience, lambda: False, RemainingTime(), WorkerMetrics(), promotion)
    with pytest.raises(LeaseLost):
        answerer.answer(held, Suggest(name="units", distribution=UNITS))
    assert trials.open(adopter).frozen().params == {}


def test_a_worker_that_froze_while_it_sampled_writes_nothing(trials, held, adopt, monkeypatch):
    sampler = held.live._study.sampler
    sample = sampler.sample_independent

    def frozen_meanwhile(*arguments):
        value = sample(*arguments)
        adopter.append(adopt())
        trials.open(adopter[0]).suggest("units", UNITS, 8)
        return value

    adopter = []
    monkeypatch.setattr(sampler, "sample_independent", frozen_meanwhile)
    with pytest.raises(LeaseLost):
        held.live.suggest("units", UNITS)
    assert trials.open(adopter[0]).frozen().params == {"units": 8}


def test_nothing_else_is_noted_at_an_adopted_trial(trials, held, adopt):
    adopter = adopt()
    for write in (
        lambda: held.live.report(1, 0.5),
        lambda: held.live.remember("tuner:attempts", ["killed"]),
        lambda: held.live.suggest("units", UNITS, 6),
    ):
        with pytest.raises(LeaseLost):
            write()
    frozen = trials.open(adopter).frozen()
    assert (frozen.intermediate_values, frozen.user_attrs, frozen.params) == ({}, {}, {})


def test_a_write_whose_answer_was_lost_may_be_repeated(trials, held):
    for _ in range(2):
        held.live._record("units", IntDistribution(4, 8), 6)
        held.live.report(1, 0.5)
        held.live.remember("tuner:attempts", ["killed"])
    frozen = trials.open(held.lease).frozen()
    assert (frozen.params, frozen.intermediate_values) == ({"units": 6}, {1: 0.5})
    assert frozen.user_attrs == {"tuner:attempts": ["killed"]}
