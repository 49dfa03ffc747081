"""A real Slurm of one node that is this machine, for as long as a test needs it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parent.parent / "scripts/slurm"


@contextmanager
def one_node_slurm() -> Iterator[None]:
    """Slurm's commands reach it within the block. Skips, with the reason, where it cannot be set up."""
    with tempfile.TemporaryDirectory(prefix="tuner-slurm-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNER_SLURM_FOLDER", f"{folder}/node")
        started = subprocess.run([_SCRIPTS / "start"], capture_output=True, text=True, check=False)
        if started.returncode:
            pytest.skip(f"no Slurm of one node can be set up here: {started.stderr.strip().splitlines()[-1]}")
        patch.setenv("SLURM_CONF", started.stdout.strip().partition("=")[2])
        try:
            yield
        finally:
            subprocess.run([_SCRIPTS / "stop"], check=True)
