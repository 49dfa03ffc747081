"""The order of the tests and the fast tier, in a project of four modules."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.durations import QUICK_SECONDS, read_durations

ROOT = Path(__file__).parent.parent
TEST = "def test_{0}(): pass\n"
MARKED = "import pytest\n@pytest.mark.{1}\n" + TEST
SOURCES = {
    "quick": TEST + MARKED.replace("test_{0}", "test_{0}_slow").format("quick", "slow"),
    "long": TEST + MARKED.replace("test_{0}", "test_{0}_fast").format("long", "fast"),
    "longest": TEST,
    "new": TEST,
}
SECONDS = {"quick": 1, "long": QUICK_SECONDS, "longest": QUICK_SECONDS + 1, "gone": 1}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    fast\n")
    for name, source in SOURCES.items():
        (tmp_path / f"tests/test_{name}.py").write_text(source.format(name))
    recorded = {f"tests/test_{name}.py": seconds for name, seconds in SECONDS.items()}
    (tmp_path / "tests/durations.json").write_text(json.dumps(recorded))
    return tmp_path


def ran(project: Path, *arguments: str) -> list[str]:
    """The names of the tests that ran, in their order."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "tests.durations", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=project, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"::test_(\w+) PASSED", done.stdout)


def test_the_longest_begin_first_and_what_is_new_before_them(project: Path) -> None:
    assert ran(project) == ["new", "longest", "long", "long_fast", "quick", "quick_slow"]


def test_the_fast_tier_has_quick_modules_and_what_stands_for_long_ones(project: Path) -> None:
    assert ran(project, "--fast") == ["long_fast", "quick"]


def test_recorded_seconds_are_those_of_the_last_run_of_each_module_that_there_is(project: Path) -> None:
    assert ran(project, "--record-durations", "tests/test_long.py", "tests/test_new.py")
    recorded = read_durations(project)
    assert recorded["tests/test_longest.py"] == QUICK_SECONDS + 1
    assert recorded["tests/test_long.py"] < QUICK_SECONDS and recorded["tests/test_new.py"] < QUICK_SECONDS
    assert "tests/test_gone.py" not in recorded


def test_every_recorded_module_exists() -> None:
    assert [module for module in read_durations(ROOT) if not (ROOT / module).is_file()] == []


def test_every_module_is_recorded() -> None:
    """Else it counts as the longest of all, and is not in the fast tier."""
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    missing = sorted(modules - read_durations(ROOT).keys())
    assert not missing, f"run scripts/test --record-durations {' '.join(missing)}"
