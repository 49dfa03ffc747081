"""Whether a trial's process still does something: batches, words to its worker, or at least computing."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil

from tuner.trial.pulse_file import Pulse, PulseFile

# A step may take so many times the median before it counts as stuck.
_STEPS = 10
# A worker that stood still, or waited for its database, has not seen the rest of that time; nor is one look enough.
_LONGEST_LOOK, _LOOKS = 5.0, 4
# Outside of steps whatever computes is alive; a process that waits for ever takes next to nothing.
_CPU_SHARE = 0.01
_CPU_LOOKS = 10


class SignsOfLife:
    """How long a process has shown none, as far as somebody looked.

    Args:
        pid: the process.
        pulse: what it says of its batches; None where that cannot be known.
    """

    def __init__(self, pid: int, pulse: PulseFile | None) -> None:
        self._pid = pid
        self._file = pulse
        self._pulse = Pulse()
        self._looked = time.monotonic()
        # After how many silent seconds it had computed for how many.
        self._computed: tuple[float, float] | None = None
        self.silent_seconds = 0.0

    def note(self) -> None:
        """It has said something, or nobody could expect anything of it."""
        self.silent_seconds, self._computed = 0.0, None
        self._looked = time.monotonic()

    def are_missing(self, patience: float) -> bool:
        """Whether nothing has been seen for ``patience`` seconds, or ten times a step if that is longer."""
        self._look(patience)
        return self.silent_seconds >= self.allowed(patience)

    def allowed(self, patience: float) -> float:
        return max(patience, _STEPS * self._pulse.step_seconds)

    def what_is_missing(self) -> str:
        return "batch" if self._pulse.in_step else "sign of life"

    def _look(self, patience: float) -> None:
        now = time.monotonic()
        self.silent_seconds += min(now - self._looked, _LONGEST_LOOK, patience / _LOOKS)
        self._looked = now
        pulse = self._file.read() if self._file is not None else Pulse()
        if pulse != self._pulse or (not pulse.in_step and self._computes(patience)):
            self._pulse = pulse
            self.note()

    def _computes(self, patience: float) -> bool:
        if self._computed is None:
            self._computed = (self.silent_seconds, _cpu_seconds(self._pid))
            return False
        waited = self.silent_seconds - self._computed[0]
        if waited < patience / _CPU_LOOKS:
            return False
        before, now = self._computed[1], _cpu_seconds(self._pid)
        self._computed = (self.silent_seconds, now)
        return now - before > _CPU_SHARE * waited


def _cpu_seconds(pid: int) -> float:
    """Of a process and its children; those that are gone count as far as their parent has heard of it."""
    total = 0.0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                times = each.cpu_times()
                total += times.user + times.system
    return total
