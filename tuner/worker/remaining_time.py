"""What is left of a study's timeout, and whether a trial that began now could still end an epoch."""

from __future__ import annotations

import math
import time


class RemainingTime:
    """A worker's view of its study's deadline, which the database's clock decides.

    Between two looks at the database it counts by this machine's clock.
    """

    def __init__(self) -> None:
        self._end = math.inf
        self._first_epoch = math.inf

    def look(self, seconds: float | None) -> None:
        """Takes what the database says.

        Args:
            seconds: until the deadline, below 0 after it; None without one.
        """
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    def heard_first_epoch(self, seconds: float) -> None:
        """Takes how long an attempt of this worker took from its start to the end of its first epoch."""
        self._first_epoch = min(self._first_epoch, seconds)

    @property
    def seconds(self) -> float:
        """Infinite without a deadline, 0 after it."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        return self.seconds <= 0

    def suffices(self) -> bool:
        """Whether a new attempt may still end an epoch, as quickly as the quickest one here did."""
        known = self._first_epoch if math.isfinite(self._first_epoch) else 0.0
        return self.seconds > known

    def why_over(self) -> str:
        """Why a study ends, of which no trial runs and no further one may begin."""
        if self.is_over:
            return "the timeout has passed"
        return f"of the timeout {self.seconds:.0f} s are left, which is too short for a trial to end an epoch"
