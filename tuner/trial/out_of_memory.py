"""What speaks of memory that could not be had, and how the end of a trial that lacked it is told."""

from __future__ import annotations

import os
import re
from pathlib import Path

# TensorFlow, C++, the system and the kernel each have words of their own.
_SIGNS = re.compile(
    r"\bOOM\b|out of memory|bad_alloc|cannot allocate memory|RESOURCE_EXHAUSTED|failed to allocate", re.IGNORECASE
)
_LOG_TAIL_BYTES = 4096
CAUSE = "out of memory"


def reason(said: str) -> str:
    """Why a trial ended that lacked memory.

    Args:
        said: what its process said, or what happened to it.
    """
    return f"out of memory ({said})"


def speaks_of_memory(text: str) -> bool:
    """Whether a message or the end of a log speaks of memory that could not be had."""
    return _SIGNS.search(text) is not None


def log_speaks_of_memory(log: Path) -> bool:
    """Whether the last lines of a log do; a log that cannot be read does not."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
            return speaks_of_memory(file.read().decode(errors="replace"))
    except OSError:
        return False


def kernel_kills() -> int:
    """How many processes the kernel has killed for memory on this node since it started."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
