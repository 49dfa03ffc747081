"""What the forkserver imports once, so that every trial process starts with it: imports only, no op, no device.

An op, a list of devices or a layer would initialise TensorFlow's runtime, and a forked runtime hangs.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tuner.processes.parents import end_with_parent
from tuner.processes.quick_imports import import_keras
from tuner.trial.process import FORKSERVER_LOG, LEAVE_SIGNALS, redirect_output

# Its children end with it in turn.
end_with_parent()
if log := os.environ.get(FORKSERVER_LOG):
    redirect_output(Path(log))

import_keras()

import tuner.data.cache  # noqa: E402
import tuner.trial.training  # noqa: E402, F401

# Whoever started the forkserver has had them wait until now.
for number in LEAVE_SIGNALS:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, LEAVE_SIGNALS)
