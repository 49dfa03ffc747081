"""A trial process whose worker has gone."""

from __future__ import annotations

import socket
import subprocess
import sys

from tuner.trial.channel import WORKER_GONE

# What `trial_main` does with any exception: it would be told as the trial's failure.
_SENDER = """
import sys
from multiprocessing.connection import Connection
from tuner.trial.channel import Channel
from tuner.trial.messages import Building

channel = Channel(Connection(int(sys.argv[1])))
channel.send(Building())
"""


def test_a_send_to_a_worker_that_has_gone_ends_the_process_without_a_word() -> None:
    workers_end, trials_end = socket.socketpair()
    with workers_end, trials_end:
        # The listener hears nothing; only a send can notice.
        workers_end.shutdown(socket.SHUT_RD)
        ended = subprocess.run(
            [sys.executable, "-c", _SENDER, str(trials_end.fileno())],
            pass_fds=[trials_end.fileno()],
            capture_output=True,
            timeout=60,
        )
    assert (ended.returncode, ended.stderr) == (WORKER_GONE, b"")
