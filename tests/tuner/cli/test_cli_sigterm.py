"""SIGTERM, as Slurm, Kubernetes and spot markets send it to the command that they have started."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tuner import api

WAITING = Path(__file__).with_name("waiting_spaces.py")


@pytest.mark.slow
def test_sigterm_leaves_in_order_and_the_next_launch_goes_on(place, raw_spec):
    gate = place.folder / "gate"
    training = {"epochs": 10_000, "batch_size": 16, "early_stopping": None}
    space = {"name": f"{WAITING}:UntilGate", "gate": str(gate)}
    spec = place.write_spec(raw_spec() | {"space": space, "trials": 1, "training": training})
    launcher = place.start("launch", spec)
    place.wait_for_epoch("shapes", 2)
    family = psutil.Process(launcher.pid).children(recursive=True)
    launcher.terminate()
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 0, err
    assert "Traceback" not in err
    psutil.wait_procs(family, timeout=30)
    assert not any(process.is_running() for process in family)
    waiting = api.show_trial("shapes", 0, storage=place.storage)
    assert (waiting.summary.state, waiting.attempts) == ("waiting", 0)

    gate.touch()
    resumed = place.run("launch", spec)
    assert resumed.code == 0, resumed.err
    assert api.show_trial("shapes", 0, storage=place.storage).summary.outcome == "complete"
