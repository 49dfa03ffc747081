"""The workers' image as far as it can be held to something without building it."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.launch.kubernetes.options import CACHE_FOLDER
from tuner.launch.kubernetes.pod_template import USER

ROOT = Path(__file__).parent.parent
FILE = ROOT / "scripts/docker/Dockerfile"
TEXT = FILE.read_text(encoding="utf-8")
HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions(name: str) -> list[str]:
    """What follows an instruction, each time that it stands there, on one line."""
    lines = re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [line.partition(" ")[2].strip() for line in lines if line.startswith(f"{name} ")]


def settings() -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg")
    return read


def test_hadolint_has_nothing_to_say() -> None:
    ran = subprocess.run([HADOLINT, FILE], capture_output=True, encoding="utf-8")
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_base_is_pinned_and_is_a_python_that_the_project_runs_on() -> None:
    (python,) = (text.partition("=")[2] for text in instructions("ARG") if text.startswith("PYTHON="))
    version = re.fullmatch(r"(\d+)\.(\d+)\.\d+-slim-\w+", python)
    assert version and (3, 11) <= (int(version[1]), int(version[2])) < (3, 14)
    assert [text.split()[0] for text in instructions("FROM")] == ["python:${PYTHON}"] * 2


def test_everything_that_is_copied_is_here_and_let_through() -> None:
    let_through = (ROOT / "scripts/docker/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [name for text in instructions("COPY") if "--from" not in text for name in text.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists() or f"!{name}" not in let_through] == []
    packages = {name.split(".")[0].strip() for name in settings()["options.packages.find"]["include"].split()}
    assert packages <= set(copied)


@pytest.mark.parametrize("extras", re.findall(r"EXTRAS=(\S+)", TEXT))
def test_the_extras_exist(extras: str) -> None:
    assert set(extras.split(",")) <= set(settings()["options.extras_require"])


def test_a_pod_runs_it_as_the_user_that_it_has_with_the_cache_that_it_has() -> None:
    user, _, group = instructions("USER")[-1].partition(":")
    assert int(user) == int(group) == USER > 0
    assert f"TUNER_CACHE={CACHE_FOLDER} " in f"{instructions('ENV')[0]} "
    # A pod gives arguments only.
    assert json.loads(instructions("ENTRYPOINT")[0])[-1] == "tuner"
