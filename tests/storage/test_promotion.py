"""Halving that pauses, from what trials have reached at the rungs."""

from __future__ import annotations

import random

import pytest

from storage.promotion.pareto import dominates, order
from storage.promotion.rule import Arrival, RungRule, Rungs

pytestmark = pytest.mark.fast
RULE = RungRule((1, 4), 4)


def at(rung: int, *losses: float, state: str = "paused", first: int = 0, kind: str | None = None) -> list[Arrival]:
    return [Arrival(first + number, rung, kind, (loss,), state) for number, loss in enumerate(losses)]


def test_one_in_four_goes_on_and_nobody_before_there_are_four() -> None:
    assert Rungs(RULE, at(1, 0.3, 0.2, 0.1), on_the_way=5).promotable() == []
    assert Rungs(RULE, at(1, 0.3, 0.2, 0.1, 0.4), on_the_way=5).promotable() == [2]
    assert Rungs(RULE, at(1, *[0.3, 0.1, 0.2, 0.4] * 2), on_the_way=5).promotable() == [1, 5]


def test_the_highest_rung_is_looked_at_first() -> None:
    arrivals = at(1, *[0.5] * 12, *[0.1] * 4) + at(4, 0.4, 0.1, 0.2, 0.3, first=12)
    assert Rungs(RULE, arrivals, on_the_way=5).promotable() == [13]
    arrivals += at(1, 0.01, first=16)
    assert Rungs(RULE, arrivals, on_the_way=5).promotable() == [13, 16]


def test_trials_are_compared_with_their_own_kind() -> None:
    arrivals = at(1, 0.5, 0.6, 0.7, 0.8, kind="network") + at(1, 0.1, 0.2, 0.3, first=4, kind="trees")
    assert Rungs(RULE, arrivals, on_the_way=5).promotable() == [0]


def test_a_trial_passes_where_it_is_among_the_best() -> None:
    arrivals = at(1, 0.3, 0.2, 0.4) + at(1, 0.1, state="held", first=3)
    rungs = Rungs(RULE, arrivals, on_the_way=5)
    assert rungs.passes(3, 1, None)
    assert not rungs.passes(1, 1, None)


def test_when_nobody_else_comes_the_best_goes_on_to_the_end() -> None:
    rungs = Rungs(RULE, at(1, 0.3, 0.2), on_the_way=0)
    assert (rungs.promotable(), rungs.hopeless()) == ([1], [0])
    # While it trains, the second rung has somebody to wait for.
    higher = Rungs(RULE, at(1, 0.1, 0.2, *[0.9] * 6) + at(4, 0.1) + at(4, 0.2, first=1), on_the_way=0)
    assert higher.promotable() == [0]
    waiting = at(1, 0.2, first=1, state="held")
    higher = Rungs(RULE, at(1, 0.1) + waiting + at(1, *[0.9] * 6, first=2) + at(4, 0.1), on_the_way=0)
    assert higher.promotable() == []


def test_only_what_can_never_go_on_is_ended() -> None:
    losses = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert Rungs(RULE, at(1, *losses), on_the_way=3).hopeless() == [2, 3, 4]
    assert Rungs(RULE, at(1, *losses), on_the_way=100).hopeless() == []


def test_so_many_stay_paused_and_the_worst_of_the_lowest_rung_are_ended() -> None:
    rule = RungRule((1, 4), 4, most_paused=2)
    arrivals = at(1, 0.1, 0.5, 0.6, 0.4) + at(4, 0.9)
    assert sorted(Rungs(rule, arrivals, on_the_way=100).hopeless()) == [1, 2]


def test_rungs_are_raised_only_where_their_rankings_differ() -> None:
    rule = RungRule((1, 4, 16), 2, raises_rungs=True)
    low = at(1, 0.1, 0.2, 0.3, 0.4)
    assert Rungs(rule, low + at(4, 0.05, 0.1), on_the_way=9).promotable() == []
    assert Rungs(rule, low + at(4, 0.1, 0.05), on_the_way=9).promotable() == [1]
    # At the end nobody passes the highest rung, and all are let go.
    ended = Rungs(rule, at(1, 0.1, 0.2) + at(4, 0.05), on_the_way=0)
    assert (ended.promotable(), sorted(ended.hopeless())) == ([], [0, 1])


def test_fronts_follow_each_other_and_the_lonely_come_first() -> None:
    front = [(1.0, 4.0), (2.0, 2.9), (2.5, 2.8), (4.0, 1.0)]
    behind = [(3.0, 3.0), (4.0, 4.0)]
    assert order([*behind, *front]) == [2, 5, 4, 3, 0, 1]
    rng = random.Random(0)
    many = [(rng.random(), rng.random(), rng.random()) for _ in range(40)]
    places = order(many)
    assert sorted(places) == list(range(40))
    for before, one in enumerate(places):
        assert not any(dominates(many[other], many[one]) for other in places[before + 1 :])


class Search:
    """Trials with losses that fall as they train, on a few workers, until nothing is left to do."""

    def __init__(self, rule: RungRule, losses: list[tuple[float, ...]], rng: random.Random) -> None:
        self._rule, self._losses, self._rng = rule, losses, rng
        self._arrivals: set[tuple[int, int]] = set()
        self._running: list[tuple[int, int]] = []
        self._ended: set[int] = set()
        self.states = dict.fromkeys(range(len(losses)), "open")
        self.complete = 0

    @property
    def rungs(self) -> Rungs:
        known = [
            Arrival(trial, rung, None, tuple(each / rung for each in self._losses[trial]), self.states[trial])
            for trial, rung in self._arrivals
        ]
        reached = {trial for trial, _ in self._arrivals}
        return Rungs(self._rule, known, len(self.states) - len(reached))

    def run(self, workers: int) -> None:
        while True:
            while len(self._running) < workers and self._begin():
                pass
            if not self._running:
                return
            self._train(*self._running.pop(self._rng.randrange(len(self._running))))
            for gone in self.rungs.hopeless():
                self.states[gone] = "closed"
                self._ended.add(gone)

    def _begin(self) -> bool:
        promotable = self.rungs.promotable()
        assert not set(promotable) & self._ended
        new = [trial for trial, state in self.states.items() if state == "open"]
        if not promotable and not new:
            return False
        trial = [*promotable, *new][0]
        level = sum(1 for known, _ in self._arrivals if known == trial)
        self._running.append((trial, level))
        self.states[trial] = "held"
        return True

    def _train(self, trial: int, level: int) -> None:
        if level == len(self._rule.rungs):
            self.states[trial], self.complete = "closed", self.complete + 1
            return
        rung = self._rule.rungs[level]
        self._arrivals.add((trial, rung))
        if self.rungs.passes(trial, rung, None):
            self._running.append((trial, level + 1))
        else:
            self.states[trial] = "paused"


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("raises_rungs", [False, True])
@pytest.mark.parametrize("workers", [1, 5])
def test_every_search_comes_to_its_end_and_ends_nobody_who_would_have_gone_on(
    workers: int, raises_rungs: bool, several: bool
) -> None:
    for seed in range(10):
        rng = random.Random(seed)
        losses = [tuple(rng.random() for _ in range(1 + several)) for _ in range(rng.randint(1, 40))]
        search = Search(RungRule((1, 3, 9), 3, raises_rungs, most_paused=1000), losses, rng)
        search.run(workers)
        assert set(search.states.values()) == {"closed"}
        assert search.complete > 0 or raises_rungs
