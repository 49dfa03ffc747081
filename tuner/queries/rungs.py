"""The rungs of a study whose trials are paused and promoted, in words."""

from __future__ import annotations

from collections.abc import Iterable

from storage.promotion.counts import RungCount


def rungs_in_words(rungs: Iterable[RungCount]) -> str | None:
    """How many trials reached each rung, went on and are paused there; None where there are no rungs."""
    return "; ".join(map(_in_words, rungs)) or None


def _in_words(rung: RungCount) -> str:
    after = f" ({rung.promoted} after a pause)" if rung.promoted else ""
    reached = f"{rung.trials} {'trial' if rung.trials == 1 else 'trials'}"
    return f"epoch {rung.epoch}: {reached}, {rung.passed + rung.promoted} went on{after}, {rung.paused} paused"
