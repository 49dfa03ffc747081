"""The callback that keeps a trial's pulse."""

from __future__ import annotations

import time
from collections import deque
from statistics import median
from typing import Any

import keras

from tuner.trial.pulse_file import Pulse, PulseFile

# Of so many batches the median counts; it is taken anew after each half of them.
_STEPS = 64


class PulseKeeper(keras.callbacks.Callback):
    """Counts batches. It comes first among the callbacks: what others do at the end of an epoch is no batch."""

    # Keras calls it beside the training, not between two steps.
    async_safe = True

    def __init__(self, file: PulseFile | None) -> None:
        super().__init__()
        self._file = file
        self._batches = 0
        self._in_a_row = 0
        self._seconds: deque[float] = deque(maxlen=_STEPS)
        self._median = 0.0
        self._last = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._pause()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._pause()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._pause()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._pause()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._pause()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step()

    def _step(self) -> None:
        now = time.monotonic()
        self._batches += 1
        self._in_a_row += 1
        # The first one compiles.
        if self._in_a_row > 1:
            self._seconds.append(now - self._last)
            if len(self._seconds) < _STEPS // 2 or self._batches % (_STEPS // 2) == 0:
                self._median = median(self._seconds)
        self._last = now
        self._tell()

    def _pause(self) -> None:
        self._batches += 1
        self._in_a_row = 0
        self._tell()

    def _tell(self) -> None:
        if self._file is not None:
            self._file.write(Pulse(self._batches, self._median, self._in_a_row > 1))
