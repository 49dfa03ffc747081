"""Passwords are not in the list of processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.cli.hidden_passwords import without_passwords


@pytest.mark.parametrize(
    ("given", "left", "variables"),
    [
        ("serve --storage postgresql://u:pw@h/d --port 0", "serve --port 0", {"TUNER_STORAGE": "postgresql://u:pw@h/d"}),
        ("serve --storage=mysql://u:pw@h/d", "serve", {"TUNER_STORAGE": "mysql://u:pw@h/d"}),
        ("serve --storage postgresql:/u:pw@h", "serve", {"TUNER_STORAGE": "postgresql:/u:pw@h"}),
        ("champions register x --mlflow http://u:pw@h", "champions register x", {"MLFLOW_TRACKING_URI": "http://u:pw@h"}),
        ("status x --storage sqlite:///tuner.db", "status x --storage sqlite:///tuner.db", {}),
        ("status x --storage", "status x --storage", {}),
        ("launch s --set storage=mysql://u:pw@h/d -y", "launch s -y", {"TUNER_STORAGE": "mysql://u:pw@h/d"}),
        ("launch s --set=storage='mysql://u:pw@h/d'", "launch s", {"TUNER_STORAGE": "mysql://u:pw@h/d"}),
        ("launch s --set storage=sqlite:///a.db --set", "launch s --set storage=sqlite:///a.db --set", {}),
        ("launch s --set study=mysql://u:pw@h/d", "launch s --set study=mysql://u:pw@h/d", {}),
        ("launch s --storage mysql://u:a@h/d --set storage=mysql://u:b@h/d", "launch s", {"TUNER_STORAGE": "mysql://u:a@h/d"}),
    ],
)  # fmt: skip
def test_urls_with_passwords_go_to_the_environment(given: str, left: str, variables: dict[str, str]) -> None:
    assert without_passwords(given.split(), {}) == (left.split(), variables)


def test_the_environment_comes_before_a_key_of_the_spec() -> None:
    given = ["launch", "s", "--set", "storage=mysql://u:pw@h/d"]
    assert without_passwords(given, {"TUNER_STORAGE": "sqlite:///tuner.db"}) == (["launch", "s"], {})


def test_a_running_command_does_not_show_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://somebody:hunter2@127.0.0.1:{silent.getsockname()[1]}/tuner"
        command = [sys.executable, "-c", "from tuner.cli import main; main()", "studies", "--storage", url]
        environment = {name: value for name, value in os.environ.items() if name != "TUNER_STORAGE"}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            # It has begun to use the URL.
            silent.settimeout(60)
            silent.accept()
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        finally:
            process.kill()
            process.wait()
    assert b"studies" in arguments and not any(b"hunter2" in each for each in arguments)
