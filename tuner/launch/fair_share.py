"""Which study a pool's worker serves next, and when it leaves the one that it serves: docs/decisions/0007.

Pure: of one moment as ``storage.pool`` sees it.
"""

from __future__ import annotations

from collections.abc import Iterable

from storage.pool import PoolView, Served


def most_wanting(studies: Iterable[Served]) -> Served | None:
    """Of those that have room for a worker the one of highest priority, then fewest slots, then that waited longest."""
    wanting = [each for each in studies if each.room > 0]
    return min(wanting, key=lambda each: (-each.priority, each.slots, each.since, each.study_id), default=None)


def fairer(view: PoolView, *, turn_is_over: bool) -> Served | None:
    """The study that the pool's worker should leave its own for; None while it should stay.

    Args:
        turn_is_over: it has served its study for a whole turn.
    """
    own = view.own
    current = next((each for each in view.studies if own and each.study_id == own.study_id), None)
    other = most_wanting(each for each in view.studies if each is not current)
    # Of a study that has ended the worker goes by itself.
    if own is None or current is None or other is None:
        return None
    if own.registered and own.held == 0 and current.waiting == 0:
        return other
    if other.priority != current.priority:
        return other if other.priority > current.priority else None
    # Afterwards the other one must not have more than this one: it would have to come back.
    evens_out = other.slots + own.slots <= current.slots - own.slots
    return other if evens_out or (turn_is_over and other.slots == 0) else None
