"""Leases in any order of events, by several workers, against a model of a few lines."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from storage import leaderboard, leases, studies
from storage.connecting import connect
from storage.errors import LeaseLost

BUDGET = 3
# A lease taken for no time has expired when the next statement looks at it.
SECONDS = st.sampled_from([0, 1000])


@dataclass
class Model:
    """What must be true of one lease. ``token`` counts acquisitions, as the fence does."""

    state: str = "open"
    expired: bool = False
    token: int = 0
    attempts: int = 0
    number: int | None = None
    epochs: set[int] = field(default_factory=set)

    @property
    def free(self) -> bool:
        return self.state == "open" or (self.state == "held" and self.expired)


class LeaseMachine(RuleBasedStateMachine):
    """Every write of a holder counts while its token is the lease's, and raises LeaseLost afterwards."""

    held = Bundle("held")

    @initialize()
    def create(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.database = connect(f"sqlite:///{Path(self._folder.name)}/studies.db", create=True)
        record = studies.create_study(
            self.database,
            "machine",
            objectives=[{"metric": "val_loss", "direction": "minimize"}],
            spec={},
            summary={},
            fingerprint="f",
            artifacts="a",
            budget=BUDGET,
            versions={},
            space={},
        )
        self.study_id = record.study_id
        self.model = {ordinal: Model() for ordinal in range(BUDGET)}
        self.trials = 0

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self._folder.cleanup()

    @rule(target=held, seconds=SECONDS)
    def acquire(self, seconds: int):
        lease = leases.acquire(self.database, self.study_id, "worker", seconds)
        free = [one for one in self.model.values() if one.free]
        assert (lease is None) == (not free)
        if lease is None:
            return None
        mine = self.model[lease.ordinal]
        assert mine.free
        assert mine.state == "held" or all(one.state == "open" for one in free), "expired leases come first"
        mine.state, mine.expired = "held", seconds == 0
        mine.token += 1
        mine.attempts += 1
        assert (lease.token, lease.attempts, lease.number) == (mine.token, mine.attempts, mine.number)
        return lease

    def _fenced(self, lease, work) -> bool:
        """Does the work of a holder; True if it counted."""
        mine = self.model[lease.ordinal]
        valid = mine.state == "held" and mine.token == lease.token
        try:
            work()
        except LeaseLost:
            assert not valid
            return False
        assert valid
        return True

    @rule(target=held, lease=consumes(held))
    def start(self, lease):
        if lease is None:
            return None
        started = []
        if not self._fenced(lease, lambda: started.append(leases.start_trial(self.database, lease))):
            return lease
        mine = self.model[lease.ordinal]
        if mine.number is None:
            mine.number, self.trials = self.trials, self.trials + 1
        assert started[0].number == mine.number
        return started[0]

    @rule(lease=held, epoch=st.integers(1, 3))
    def report(self, lease, epoch):
        if lease is None or lease.trial_id is None:
            return
        if self._fenced(lease, lambda: leases.record_epoch(self.database, lease, epoch, {"val_loss": 1.0}, 0.5)):
            self.model[lease.ordinal].epochs.add(epoch)

    @rule(lease=held, seconds=SECONDS)
    def renew(self, lease, seconds):
        if lease is None:
            return
        mine = self.model[lease.ordinal]
        valid = mine.state == "held" and mine.token == lease.token
        assert leases.renew(self.database, [lease], seconds) == (frozenset() if valid else {lease.id})
        if valid:
            mine.expired = seconds == 0

    @rule(lease=consumes(held), spend=st.booleans())
    def release(self, lease, spend):
        if lease is None:
            return
        if self._fenced(lease, lambda: leases.release(self.database, lease, spend_attempt=spend)):
            mine = self.model[lease.ordinal]
            mine.state, mine.attempts = "open", mine.attempts - (not spend)

    @rule(lease=consumes(held))
    def close(self, lease):
        if lease is None or lease.trial_id is None:
            return
        result = leases.TrialResult(lease.trial_id, lease.number, "complete", value=0.1)
        if self._fenced(lease, lambda: leases.close(self.database, lease, result)):
            self.model[lease.ordinal].state = "closed"
            leases.close(self.database, lease, result)

    @invariant()
    def the_database_says_the_same(self):
        if not hasattr(self, "model"):
            return
        counts = leases.counts(self.database, self.study_id)
        live = [one for one in self.model.values() if one.state == "held" and not one.expired]
        closed = [one for one in self.model.values() if one.state == "closed"]
        assert (counts.held, counts.closed) == (len(live), len(closed))
        trials = leaderboard.trials(self.database, "machine")
        assert [trial.trial for trial in trials] == list(range(self.trials))
        assert self.trials <= BUDGET
        stored = {one.number: one.epochs for one in self.model.values() if one.number is not None}
        for trial in trials:
            curve = leaderboard.trial(self.database, "machine", trial.trial).curve
            assert {epoch.epoch for epoch in curve} == stored[trial.trial]


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
