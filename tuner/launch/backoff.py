"""Leaves studies that failed on this node alone for a while, for longer after each failure."""

from __future__ import annotations

import time
from collections.abc import Callable


class Setbacks:
    """By study id.

    Args:
        first: seconds after the first setback; they double with each further one.
        longest: seconds, at most.
        clock: seconds that only grow.
    """

    def __init__(self, first: float, longest: float = 600.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._first = first
        self._longest = longest
        self._clock = clock
        self._counts: dict[int, int] = {}
        self._until: dict[int, float] = {}

    def add(self, study_id: int) -> float:
        """Notes one. Gives the seconds until the study may be tried again."""
        count = self._counts[study_id] = self._counts.get(study_id, 0) + 1
        seconds = min(self._longest, self._first * 2.0 ** min(count - 1, 30))
        self._until[study_id] = self._clock() + seconds
        return seconds

    def clear(self, study_id: int) -> None:
        """Forgets a study's, which could be worked on."""
        self._counts.pop(study_id, None)
        self._until.pop(study_id, None)

    def has(self, study_id: int) -> bool:
        """Whether the study's last try was a setback."""
        return study_id in self._counts

    def hold(self, study_id: int) -> bool:
        """Whether the study is to be left alone now."""
        return self._until.get(study_id, 0.0) > self._clock()
