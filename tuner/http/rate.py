"""Limits how often one client may send requests."""

from __future__ import annotations

import time
from collections import OrderedDict

from tuner.errors import TooOften

_CLIENTS = 10_000


class Rate:
    """A bucket of requests for each client: full for a minute's worth, filled at that rate."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Raises TooOften if the client has none left."""
        if not self._per_minute:
            return
        now, per_second = time.monotonic(), self._per_minute / 60
        left, at = self._buckets.pop(client, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - at) * per_second)
        self._buckets[client] = (max(0.0, left - 1), now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooOften(max(1, round((1 - left) / per_second)))
