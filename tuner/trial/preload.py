"""What the forkserver imports once, so that every trial process starts with it: imports only, no op, no device.

An op, a list of devices or a layer would initialise TensorFlow's runtime, and a forked runtime hangs.
"""

from __future__ import annotations

import os
from pathlib import Path

from tuner.trial.process import redirect_output

FORKSERVER_LOG = "TUNER_FORKSERVER_LOG"

if log := os.environ.get(FORKSERVER_LOG):
    redirect_output(Path(log))

import keras  # noqa: E402, F401
import keras_tuner  # noqa: E402, F401
import tensorflow  # noqa: E402, F401

import tuner.data.cache  # noqa: E402
import tuner.trial.training  # noqa: E402, F401
