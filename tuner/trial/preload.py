"""What the forkserver imports once, so that every trial process starts with it: imports only, no op, no device.

An op, a list of devices or a layer would initialise TensorFlow's runtime, and a forked runtime hangs.
"""

from __future__ import annotations

import os
from pathlib import Path

from tuner.trial.process import FORKSERVER_LOG, redirect_output

if log := os.environ.get(FORKSERVER_LOG):
    redirect_output(Path(log))

import keras  # noqa: F401
import keras_tuner  # noqa: F401
import tensorflow  # noqa: F401

import tuner.data.cache
import tuner.trial.training  # noqa: F401
