"""What a worker writes through Optuna, which knows no fencing token, once its trial is another worker's."""

from __future__ import annotations

import threading

import pytest
from optuna.distributions import IntDistribution, distribution_to_json

from storage import leases
from storage.errors import LeaseLost
from tuner.trial.messages import Suggest
from tuner.worker.answering import Answerer
from tuner.worker.optuna_trials import OptunaTrials
from tuner.worker.patience import Patience
from tuner.worker.running import RunningTrial


@pytest.fixture
def spec(make_spec):
    return make_spec("Fast", trials=1)


@pytest.fixture
def record(create_study, spec):
    return create_study(spec)


@pytest.fixture
def trials(database, record, spec):
    return OptunaTrials(database, record, spec)


@pytest.fixture
def stale(database, record, trials):
    """A trial as a worker knows it that another worker has adopted meanwhile. No process of it is needed."""
    lease = leases.start_trial(database, leases.acquire(database, record.study_id, "frozen", 0))
    live = trials.open(lease.trial_id, lease.number)
    assert leases.acquire(database, record.study_id, "adopter", 60) is not None
    return RunningTrial(lease=lease, live=live, process=None, assignment=None)


def test_no_hyperparameter_is_drawn_for_an_adopted_trial(database, record, spec, trials, stale):
    answerer = Answerer(database, Patience(threading.Event()), spec, lambda: False)
    asked = Suggest(name="units", distribution=distribution_to_json(IntDistribution(4, 8)))
    with pytest.raises(LeaseLost):
        answerer.answer(stale, asked)
    assert trials.open(stale.lease.trial_id, 0).frozen().params == {}
