"""The clean process's guard, in real interpreters, and its copy of the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tuner.champion import clean
from tuner.champion.proof.clean_runs import PROJECT, code_of_proof

_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from champion_proof.guard import shut_out
shut_out(sys.argv[2:])
import {name}
print({name}.__file__)
"""


def _import(name: str, folder: Path, *forbidden: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", _PROGRAM.replace("{name}", name), str(code_of_proof(folder)), *forbidden]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["tuner", "storage", "search_spaces", "tuner.data.decode"])
def test_the_project_cannot_be_imported(name: str, tmp_path: Path) -> None:
    refused = _import(name, tmp_path, *PROJECT)
    assert refused.returncode == 1
    assert f"ImportError: {name.partition('.')[0]} must not be needed" in refused.stderr


def test_without_the_guard_it_could_be(tmp_path: Path) -> None:
    assert "tuner" in _import("tuner", tmp_path).stdout


def test_everything_else_can(tmp_path: Path) -> None:
    loaded = _import("numpy", tmp_path, *PROJECT)
    assert loaded.returncode == 0
    assert "numpy" in loaded.stdout


def test_the_package_needs_nothing_of_the_project() -> None:
    for file in Path(clean.__file__).parent.glob("*.py"):
        text = file.read_text()
        assert not any(f"{word} {name}" in text for word in ("import", "from") for name in PROJECT), file


def test_the_parent_side_imports_no_runtime() -> None:
    program = (
        "import sys, tuner.champion.export.export_model, tuner.champion.prediction.predict\n"
        "assert not {'tensorflow', 'keras', 'keras_tuner', 'onnx', 'onnxruntime', 'ai_edge_litert'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
