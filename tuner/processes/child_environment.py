"""What every child process that runs TensorFlow is given by its parent."""

from __future__ import annotations

import os
from pathlib import Path

from tuner.processes.parents import PARENT_VARIABLE


def tensorflow_environment(scratch: Path | str | None = None) -> dict[str, str]:
    """This process's environment with Keras on TensorFlow, whatever the user's own default is, and with less noise.

    Args:
        scratch: the folder for temporary files. AutoGraph leaves three in every process; the parent removes the folder.
    """
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", PARENT_VARIABLE: str(os.getpid())}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    return environment | ({"TMPDIR": os.fspath(scratch)} if scratch is not None else {})
