"""The guard of the clean process, in real interpreters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tuner.champion import clean_inference

_PROGRAM = """
import runpy, sys
script = runpy.run_path(sys.argv[1])
if sys.argv[2] == "guarded":
    script["shut_project_out"]()
import {name}
print({name}.__file__)
"""


def _import(name: str, guarded: str) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.replace("{name}", name)
    command = [sys.executable, "-I", "-c", program, clean_inference.__file__, guarded]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["tuner", "storage", "search_spaces", "tuner.data.decode"])
def test_the_project_cannot_be_imported(name: str) -> None:
    refused = _import(name, "guarded")
    assert refused.returncode == 1
    assert f"ImportError: {name.partition('.')[0]} must not be needed" in refused.stderr


def test_without_the_guard_it_could_be() -> None:
    assert "tuner" in _import("tuner", "open").stdout


def test_the_script_itself_imports_no_project_module() -> None:
    loaded = _import("numpy", "guarded")
    assert loaded.returncode == 0
    assert "numpy" in loaded.stdout
    text = Path(clean_inference.__file__).read_text()
    assert "import tuner" not in text
    assert "from tuner" not in text


def test_the_parent_side_imports_no_tensorflow() -> None:
    program = (
        "import sys, tuner.champion.export, tuner.champion.predict\n"
        "assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
