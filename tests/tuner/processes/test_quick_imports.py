"""What every process that trains or exports begins with."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import gc, sys
from tuner.processes.quick_imports import import_keras
import_keras()
assert {"keras", "keras_tuner", "tensorflow"} <= set(sys.modules)
assert "scipy.stats" not in sys.modules
assert gc.isenabled() and gc.get_freeze_count()
import sklearn.utils
import_keras()
assert "sklearn.utils" in sys.modules
"""


def test_keras_comes_without_scikit_learn_which_can_be_imported_later():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
