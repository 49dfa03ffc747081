"""What speaks of memory that could not be had, and how the end of a trial that lacked it is told."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

# What TensorFlow, CUDA, C++ and Python write where memory could not be had, whole and as they write it: what somebody's
# data or code prints speaks of rooms, of bloom, and of being out of memory cards.
_SIGNS = re.compile(
    r"\bRESOURCE_EXHAUSTED: |\bResourceExhaustedError\b|\bOOM when allocating tensor\b"
    r"|\bDst tensor is not initialized\b|\bstd::bad_alloc\b|\[Errno 12\] Cannot allocate memory\b"
    r"|\bCUDA_ERROR_OUT_OF_MEMORY\b|\bCU(BLAS|DNN|FFT|SOLVER|SPARSE)_(STATUS_)?ALLOC_FAILED\b"
    r"|\bOut of memory (while trying to allocate|allocating) \d|\b[Ff]ailed to allocate (request for )?[\d.]+ ?\w*B\b"
)
# What the kernel and Slurm write of a process that they killed.
_KILLED = re.compile(r"\bOut of memory: Killed process \d|\bDetected \d+ oom[-_]kill event")
_LOG_TAIL_BYTES = 4096
CAUSE = "out of memory"


def reason(said: str) -> str:
    """Why a trial ended that lacked memory.

    Args:
        said: what its process said, or what happened to it.
    """
    return f"out of memory ({said})"


def speaks_of_memory(text: str) -> bool:
    """Whether the message of an error speaks of memory that could not be had."""
    return _SIGNS.search(text) is not None


def log_speaks_of_memory(log: Path, *, killed: bool) -> bool:
    """Whether the last lines of a dead process's log do; a log that cannot be read does not.

    Args:
        killed: by SIGKILL. A framework that lacks memory raises or aborts; it often goes on after it has said so.
    """
    return (_KILLED if killed else _SIGNS).search(_tail(log)) is not None


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


class KernelKills:
    """Whether the kernel has killed a process for memory since this was made.

    It counts, and names nobody: each kill is taken once, for a process that was seen to end.
    """

    _taken = 0

    def __init__(self) -> None:
        self._before = kernel_kills() - KernelKills._taken

    def take_one(self) -> bool:
        """Whether there was one that is not taken for another process."""
        if kernel_kills() - KernelKills._taken <= self._before:
            return False
        KernelKills._taken += 1
        return True


def kernel_kills() -> int:
    """How many processes the kernel has killed for memory: of this one's control group, or of the node without one."""
    found = [_oom_kills(each) for each in (*_control_group(), Path("/proc/vmstat"))]
    return next((count for count in found if count is not None), 0)


def _control_group() -> list[Path]:
    """Where version 2 and version 1 of control groups count. A container sees its own as the root."""
    files: list[Path] = []
    with suppress(OSError):
        for _, controllers, path in (line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()):
            if not controllers:
                files += [Path(f"/sys/fs/cgroup{folder}/memory.events") for folder in (path, "")]
            if "memory" in controllers.split(","):
                files += [Path(f"/sys/fs/cgroup/memory{folder}/memory.oom_control") for folder in (path, "")]
    return files


def _oom_kills(file: Path) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
