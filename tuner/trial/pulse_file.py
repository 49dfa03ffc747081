"""A trial's pulse: how many batches it has done and how long one takes, where its worker sees it at any time.

It is a small file that both have mapped. A batch costs no message, and what a worker does not read for a while, because
its database is away, fills no pipe.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

NAME = "pulse"
_FORM = struct.Struct("=qdq")


@dataclass(frozen=True)
class Pulse:
    """What a trial says of itself.

    Attributes:
        batches: how many it has begun or ended, whatever they are for.
        step_seconds: the median of the last ones.
        in_step: batches follow each other now, and the next one should not take much longer; false around epochs and
            validations, when other things happen too.
    """

    batches: int = 0
    step_seconds: float = 0.0
    in_step: bool = False


class PulseFile:
    """The file in a trial's folder for temporary files. Raises OSError if it cannot be made."""

    def __init__(self, folder: Path | str) -> None:
        path = Path(folder, NAME)
        # Written and not only made longer: a page that a full disk has no room for would kill whoever touches it.
        with path.open("a+b") as file:
            if file.tell() < _FORM.size:
                file.write(bytes(_FORM.size))
                file.flush()
            self._map = mmap.mmap(file.fileno(), _FORM.size)

    def write(self, pulse: Pulse) -> None:
        _FORM.pack_into(self._map, 0, pulse.batches, pulse.step_seconds, pulse.in_step)

    def read(self) -> Pulse:
        batches, seconds, in_step = _FORM.unpack_from(self._map, 0)
        return Pulse(batches, seconds, bool(in_step))


def pulse_in(folder: Path | str) -> PulseFile | None:
    """The pulse in a folder; None where its disk is full, and nobody can tell."""
    try:
        return PulseFile(folder)
    except (OSError, ValueError):
        return None
