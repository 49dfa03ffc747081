"""Processes that end with the one that started them."""

from __future__ import annotations

import subprocess
import sys
import threading

import psutil
import pytest

_CHILD = """
import sys, time
from tuner.processes.parents import end_with_parent, watch_parent
{how}()
print(flush=True)
time.sleep(600)
"""
_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["end_with_parent", "watch_parent"])
def test_a_child_ends_with_a_parent_that_is_killed(how: str) -> None:
    code = _PARENT.format(child=_CHILD.format(how=how))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    if how == "end_with_parent":
        # Also one that stands still.
        child.suspend()
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=20)
    assert gone == [child]
    parent.stdout.close()


def test_a_watched_parent_may_start_a_child_in_a_thread_that_ends() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        code = _CHILD.format(how="watch_parent")
        started.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
        assert started[0].stdout is not None
        started[0].stdout.readline()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    with pytest.raises(subprocess.TimeoutExpired):
        started[0].wait(0.5)
    started[0].kill()
    started[0].communicate()
