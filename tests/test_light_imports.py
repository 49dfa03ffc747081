"""What no process may load without need, by way of others either: each such library costs every start of it.

import-linter sees what a module imports by itself. A worker that had TensorFlow through a package in between took
550 MB and several seconds more, and every command loaded scikit-learn for one question; nothing failed.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

_OF_EXPORTS = (
    "tuner.champion.choosing.scored_trials",
    "tuner.champion.export.trying_process",
    "tuner.champion.export.model_process",
    "tuner.champion.export.writing",
    "tuner.champion.formats.conversion_process",
    "tuner.champion.prediction.prediction_process",
)
_ROOT = Path(__file__).parents[1]
_PROGRAM = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    found = pkgutil.walk_packages(getattr(package, "__path__", []), name + ".")
    # A __main__ would run, and Alembic alone runs what is in migrations.
    modules = (module.name for module in found if not module.name.endswith("__main__"))
    for each in [name, *(module for module in modules if ".migrations" not in module)]:
        try:
            importlib.import_module(each)
        except ModuleNotFoundError as error:
            # An extra that is not installed.
            if (error.name or "tuner").split(".")[0] in ("tuner", "storage", "search_spaces"):
                raise
        loaded = {"tensorflow", "keras", "keras_tuner"} & set(sys.modules)
        assert not loaded, f"{each} imports {', '.join(sorted(loaded))}"
"""


def test_no_module_that_promises_it_has_tensorflow_or_keras_through_another():
    setup = configparser.ConfigParser()
    setup.read(_ROOT / "setup.cfg", encoding="utf-8")
    light = setup["importlinter:contract:light"]["source_modules"].split()
    assert {"tuner.worker", "tuner.launch", "tuner.cli", "storage"} <= set(light)
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *light], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


# scikit-learn, with SciPy and pandas, is loaded where importances are computed; SQL where a database is.
@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("tuner.api", "sklearn scipy pandas tensorflow keras"),
        ("tuner.trial.preflight", "sqlalchemy sklearn tensorflow keras"),
        *((module, "sqlalchemy optuna tensorflow keras") for module in _OF_EXPORTS),
    ],
)
def test_a_process_begins_without_what_it_may_never_need(module: str, absent: str):
    program = f"import {module}, sys; print(*set(sys.argv[1:]) & sys.modules.keys())"
    ran = subprocess.run(
        [sys.executable, "-c", program, *absent.split()], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == []
