"""Slurm's own commands, and what they say when they refuse."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from tuner.errors import LaunchError

# A busy controller answers late; one that is gone says so itself.
_ANSWER_SECONDS = 120.0
# Of the job that this process may be part of: they would be taken for options of the new one.
_OWN_JOB = ("SLURM_", "SLURMD_")
_KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")


class SlurmRefused(LaunchError):
    """A command of Slurm's failed.

    Attributes:
        said: Slurm's own words, on one line.
    """

    def __init__(self, command: str, said: str) -> None:
        self.said = said
        super().__init__(f"{command}: {said}")


def run(command: Sequence[str], stdin: str = "", extra: Mapping[str, str] | None = None) -> str:
    """What a command of Slurm's printed.

    Args:
        extra: environment variables besides those of this process.

    Raises:
        SlurmRefused: it failed.
        LaunchError: it is not on this machine, or did not answer.
    """
    name = command[0]
    environment = {key: value for key, value in os.environ.items() if key in _KEPT or not key.startswith(_OWN_JOB)}
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=environment | dict(extra or {}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise LaunchError(
            f"{name} is not on this machine: run this where Slurm's commands are, such as a login node of the cluster"
        ) from None
    except subprocess.TimeoutExpired:
        raise LaunchError(f"{name} did not answer within {_ANSWER_SECONDS:g} s: is Slurm's controller up?") from None
    if done.returncode:
        raise SlurmRefused(name, _last_words(name, done.stderr) or f"exit code {done.returncode}")
    return done.stdout


def _last_words(name: str, stderr: str) -> str:
    lines = (line.strip().removeprefix(f"{name}: ").removeprefix("error: ") for line in stderr.splitlines())
    return "; ".join(dict.fromkeys(line for line in lines if line))
