"""Successive halving that pauses: which trials go on at a rung, and which never will.

After Li et al., A System for Massively Parallel Hyperparameter Tuning (arXiv 1810.05934). Everything here follows from
what the trials had reached at the rungs; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from storage.promotion.pareto import dominates, order


@dataclass(frozen=True)
class RungRule:
    """Where trials are compared, and how many go on.

    Attributes:
        rungs: epochs after which trials are compared, the lowest first.
        factor: one of so many goes on.
        raises_rungs: PASHA's rule (Bohdal et al., arXiv 2207.06940): no trial passes the second rung, or a higher one
            that is the highest so far, while its ranking agrees with that of the rung below.
        most_paused: so many trials stay paused at a time.
    """

    rungs: tuple[int, ...]
    factor: int
    raises_rungs: bool = False
    most_paused: int = 50


@dataclass(frozen=True)
class Arrival:
    """A trial at a rung.

    Attributes:
        trial: its number, or anything that orders trials by age.
        losses: of each objective, less is better.
        state: of its lease: ``open``, ``held``, ``paused`` or ``closed``.
    """

    trial: int
    rung: int
    kind: str | None
    losses: tuple[float, ...]
    state: str


@dataclass(frozen=True)
class _Rung:
    """Trials of one kind at one rung.

    Attributes:
        ordered: the best first.
        last: those that have not reached a higher one.
        limit: at most so many of the best will ever go on.
        passing: so many of the best go on now.
        coming: whether more trials may reach it.
    """

    ordered: tuple[Arrival, ...]
    last: frozenset[int]
    limit: int
    passing: int
    coming: bool

    def place(self, trial: int) -> int:
        return next(place for place, each in enumerate(self.ordered) if each.trial == trial)

    @cached_property
    def paused(self) -> list[tuple[int, Arrival]]:
        """With their places, the best first."""
        return [
            (place, each)
            for place, each in enumerate(self.ordered)
            if each.trial in self.last and each.state == "paused"
        ]

    def is_hopeless(self, place: int) -> bool:
        """Whether the trial at this place will not be among those that go on, whoever comes."""
        mine = self.ordered[place].losses
        if self.coming and len(mine) > 1:
            # Among several objectives only those that dominate a trial stay before it.
            place = sum(1 for each in self.ordered if dominates(each.losses, mine))
        return place >= self.limit


class Rungs:
    """How the trials of a study stand.

    Args:
        on_the_way: how many trials are running, or may still begin, that have reached no rung yet.
    """

    def __init__(self, rule: RungRule, arrivals: Iterable[Arrival], on_the_way: int) -> None:
        self._rule = rule
        known = sorted(arrivals, key=lambda each: each.trial)
        self._top: dict[int, int] = {}
        for each in known:
            self._top[each.trial] = max(each.rung, self._top.get(each.trial, 0))
        kinds = {each.kind for each in known}
        self._may_change = on_the_way > 0 or any(each.state in ("open", "held") for each in known)
        self._highest = self._highest_allowed(known) if rule.raises_rungs else len(rule.rungs)
        self._by_kind: Mapping[str | None, Sequence[_Rung]] = {
            kind: self._climb([each for each in known if each.kind == kind], on_the_way) for kind in kinds
        }

    def passes(self, trial: int, rung: int, kind: str | None) -> bool:
        """Whether a trial that has arrived at a rung goes on now."""
        at = self._by_kind[kind][self._rule.rungs.index(rung)]
        return at.place(trial) < at.passing

    def promotable(self) -> list[int]:
        """The paused trials that go on now: from the highest rung, the best first."""
        found = [
            (level, place, each.trial)
            for rungs in self._by_kind.values()
            for level, rung in enumerate(rungs)
            for place, each in rung.paused
            if place < rung.passing
        ]
        return [trial for _, _, trial in sorted(found, key=lambda each: (-each[0], each[1], each[2]))]

    def hopeless(self) -> list[int]:
        """The paused trials that will not go on any more, whatever the others come to.

        With those that are beyond the number that may stay paused: from the lowest rung, the worst first.
        """
        gone: list[int] = []
        kept: list[tuple[int, int, int]] = []
        for rungs in self._by_kind.values():
            for level, rung in enumerate(rungs):
                for place, each in rung.paused:
                    if rung.is_hopeless(place):
                        gone.append(each.trial)
                    elif place >= rung.passing:
                        kept.append((-level, place, each.trial))
        return gone + [trial for _, _, trial in sorted(kept)[self._rule.most_paused :]]

    def _climb(self, arrivals: Sequence[Arrival], coming: int) -> list[_Rung]:
        """The rungs of one kind of trials, from the lowest one on."""
        found: list[_Rung] = []
        for level, epochs in enumerate(self._rule.rungs):
            here = [each for each in arrivals if each.rung == epochs]
            ordered = tuple(here[place] for place in order([each.losses for each in here]))
            limit = max(1, (len(here) + coming) // self._rule.factor)
            # Where nobody else will come the best one goes on, however few there are.
            passing = len(here) // self._rule.factor if coming else limit
            if level >= self._highest:
                passing, limit = 0, limit if self._may_change else 0
            last = frozenset(each.trial for each in here if self._top[each.trial] == epochs)
            rung = _Rung(ordered, last, limit, passing, coming > 0)
            found.append(rung)
            under_way = sum(1 for each in here if each.trial in last and each.state in ("open", "held"))
            waiting = sum(1 for place, _ in rung.paused if not rung.is_hopeless(place))
            coming = under_way + waiting + min(coming, limit)
        return found

    def _highest_allowed(self, arrivals: Sequence[Arrival]) -> int:
        """The index of the first rung that nobody passes."""
        reached = [self._rule.rungs.index(each.rung) for each in arrivals]
        highest = max(1, max(reached, default=0))
        if highest >= len(self._rule.rungs):
            return highest
        above = [each for each in arrivals if each.rung == self._rule.rungs[highest]]
        below = {each.trial: each for each in arrivals if each.rung == self._rule.rungs[highest - 1]}
        both = [each for each in above if each.trial in below]
        agrees = order([each.losses for each in both]) == order([below[each.trial].losses for each in both])
        return highest if agrees else highest + 1
