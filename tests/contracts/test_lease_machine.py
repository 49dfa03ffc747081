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
from storage.promotion.rows import arrive, end_paused, pause
from storage.promotion.rule import RungRule

BUDGET = 3
# One rung, at which the better one of two goes on.
RULE = RungRule((1,), 2)
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
    loss: float | None = None
    goes_on: bool = False

    @property
    def free(self) -> bool:
        return self.state == "open" or (self.state == "held" and self.expired)

    @property
    def may_arrive(self) -> bool:
        return self.loss is None and self.state in ("open", "held")


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

    def _standing(self) -> list[Model]:
        """Of the trials at the rung, the best first."""
        reached = [one for one in self.model.values() if one.loss is not None]
        return sorted(reached, key=lambda one: (one.loss, one.number))

    def _passing(self) -> list[Model]:
        """The trials that go on now."""
        reached = self._standing()
        least = 0 if any(one.may_arrive for one in self.model.values()) else 1
        return reached[: max(least, len(reached) // 2)]

    @rule(target=held, seconds=SECONDS)
    def acquire(self, seconds: int):
        return self._acquired(seconds)

    def _acquired(self, seconds: int):
        promotable = [one for one in self._passing() if one.state == "paused"]
        lease = leases.acquire(self.database, self.study_id, "worker", seconds, RULE)
        free = [one for one in self.model.values() if one.free] + promotable
        assert (lease is None) == (not free)
        if lease is None:
            return None
        mine = self.model[lease.ordinal]
        assert mine in free
        assert mine.state == "held" or all(one.state != "held" for one in free), "expired leases come first"
        assert lease.promoted == (mine.state == "paused")
        assert mine.number is not None or not promotable, "promotions come before new trials"
        mine.goes_on |= lease.promoted
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
        return None if lease is None else self._started(lease)

    def _started(self, lease):
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

    @rule(losses=st.lists(st.integers(0, 9), min_size=1, max_size=BUDGET))
    def reach_the_rung(self, losses):
        """Trials begin, or go on, one after the other; who does not go on at the rung is paused."""
        for loss in losses:
            lease = self._acquired(1000)
            if lease is None:
                return
            lease = self._started(lease)
            self._arrive(lease, loss)
            self._pause(lease)

    @rule(lease=held, loss=st.integers(0, 9))
    def arrive(self, lease, loss):
        if lease is not None and lease.trial_id is not None:
            self._arrive(lease, loss)

    def _arrive(self, lease, loss):
        mine, goes_on = self.model[lease.ordinal], []
        loss = float(loss) if mine.loss is None else mine.loss
        if self._fenced(lease, lambda: goes_on.append(arrive(self.database, lease, RULE, 1, None, [loss]))):
            mine.loss = loss
            mine.goes_on |= mine in self._passing()
            assert goes_on == [mine.goes_on]

    @rule(lease=consumes(held))
    def pause(self, lease):
        if lease is not None and lease.trial_id is not None:
            self._pause(lease)

    def _pause(self, lease):
        mine = self.model[lease.ordinal]
        if mine.loss is None or mine.goes_on:
            return
        result = leases.TrialResult(lease.trial_id, lease.number, "paused", value=mine.loss)
        if self._fenced(lease, lambda: pause(self.database, lease, result)):
            mine.state, mine.attempts = "paused", mine.attempts - 1

    @rule()
    def end_those_without_hope(self):
        ended = {each.number for each in end_paused(self.database, self.study_id, RULE)}
        most = (len(self._standing()) + sum(one.may_arrive for one in self.model.values())) // 2
        hopeless = [one for one in self._standing()[max(1, most) :] if one.state == "paused"]
        assert ended == {one.number for one in hopeless}
        for one in hopeless:
            one.state, one.token = "closed", one.token + 1

    @invariant()
    def the_database_says_the_same(self):
        if not hasattr(self, "model"):
            return
        counts = leases.counts(self.database, self.study_id)
        live = [one for one in self.model.values() if one.state == "held" and not one.expired]
        closed = [one for one in self.model.values() if one.state == "closed"]
        paused = [one for one in self.model.values() if one.state == "paused"]
        assert (counts.held, counts.closed, counts.paused) == (len(live), len(closed), len(paused))
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
