"""Processes that end with the one that started them, however that ends: nobody would hear what they still do."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading

# In the environment of a child: its parent's id.
PARENT_VARIABLE = "TUNER_PARENT"
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Has the kernel kill this process with its parent, also while it stands still.

    For one whose parent starts it in a thread that lives as long as it does: the kernel goes by the thread.
    """
    parent = _parent()
    _set_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _parent() -> int:
    # It may have gone before this process came to ask who it is. What this process starts is told anew.
    return int(os.environ.pop(PARENT_VARIABLE, 0)) or os.getppid()


def outlive_parent() -> None:
    """Takes ``end_with_parent`` back."""
    _set_death_signal(0)


def _set_death_signal(number: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def watch_parent() -> None:
    """Ends this process soon after its parent, whichever of its threads it was started in."""
    parent = _parent()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        descriptor = os.pidfd_open(parent)
    except OSError:
        # A kernel without, or one that has seen it go.
        return
    threading.Thread(target=_end_after, args=(descriptor, parent), name="parent", daemon=True).start()


def _end_after(descriptor: int, parent: int) -> None:
    # Its number may be somebody else's already.
    if os.getppid() == parent:
        select.select([descriptor], [], [])
    os.kill(os.getpid(), signal.SIGKILL)
