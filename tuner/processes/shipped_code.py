"""Where the user's code is when an engine has brought a copy of its folder to this machine."""

from __future__ import annotations

import os
from pathlib import Path

# The folder's place where the study was launched, and its copy's here.
SHIPPED_FROM_VARIABLE = "TUNER_SHIPPED_FROM"
SHIPPED_TO_VARIABLE = "TUNER_SHIPPED_TO"


def on_this_machine(path: Path) -> Path:
    """The file itself, or its copy if it is not here and was shipped."""
    source, copy = os.environ.get(SHIPPED_FROM_VARIABLE), os.environ.get(SHIPPED_TO_VARIABLE)
    if source is None or copy is None or path.exists() or not path.is_relative_to(source):
        return path
    return Path(copy, path.relative_to(source))
