"""What is left of a timeout, and what it is enough for."""

from __future__ import annotations

import math

from tuner.worker.remaining_time import RemainingTime


def test_without_a_timeout_there_is_always_time() -> None:
    remaining = RemainingTime()
    remaining.heard_first_epoch(1e9)
    for seconds in (None, None):
        remaining.look(seconds)
        assert remaining.seconds == math.inf and remaining.suffices() and not remaining.is_over


def test_an_attempt_begins_only_if_the_quickest_epoch_so_far_fits() -> None:
    remaining = RemainingTime()
    remaining.look(100.0)
    assert remaining.suffices()
    remaining.heard_first_epoch(500.0)
    assert not remaining.suffices() and not remaining.is_over
    assert remaining.why_over() == "of the timeout 100 s are left, which is too short for a trial to end an epoch"
    remaining.heard_first_epoch(50.0)
    remaining.heard_first_epoch(500.0)
    assert remaining.suffices()


def test_after_the_timeout_nothing_begins_until_it_is_raised() -> None:
    remaining = RemainingTime()
    remaining.look(-1.0)
    assert remaining.is_over and not remaining.suffices() and remaining.seconds == 0
    assert remaining.why_over() == "the timeout has passed"
    remaining.look(60.0)
    assert remaining.suffices() and not remaining.is_over
