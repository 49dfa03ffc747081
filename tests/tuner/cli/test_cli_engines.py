"""Workers that an engine runs, from the command line: they go on without it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from storage import launches
from storage.connecting import connect
from storage.studies import load_study
from tuner import api

pytestmark = pytest.mark.slow

WAITING = Path(__file__).with_name("waiting_spaces.py")


@pytest.fixture
def gated(place, raw_spec):
    """A study of three trials that end when the file ``gate`` is there; its workers are ended with the test."""
    gate = place.folder / "gate"
    space = {"name": f"{WAITING}:UntilGate", "gate": str(gate)}
    training = {"epochs": 500, "batch_size": 16, "early_stopping": None}
    name = place.write_spec(raw_spec(trials=3, training=training, sampler="random") | {"space": space})
    yield name, gate
    gate.touch()
    for worker in handles(place):
        if psutil.pid_exists(worker["pid"]):
            os.kill(worker["pid"], signal.SIGKILL)


def handles(place):
    database = connect(place.storage)
    found = launches.list_launches(database, load_study(database, "shapes").study_id)
    database.close()
    return [worker for each in found for worker in (each.handle or {}).get("workers", [])]


def test_workers_go_on_without_the_command_are_looked_at_scaled_and_stopped_and_outlive_ctrl_c(place, gated):
    spec, gate = gated
    started = place.run("launch", spec, "--workers", "1", "--detach")
    assert started.code == 0, started.err
    assert "Launch 1: 1 worker on local" in started.err
    assert "study shapes is running: its workers continue" in started.err
    place.wait_for_epoch("shapes")
    assert "launch 1 on local: 1 running" in place.run("status", "shapes").out
    (listed,) = place.run("status", "shapes", "--format", "json").json["launches"]
    assert [(each["name"], each["state"]) for each in listed["workers"]] == [("w1-0", "running")]

    scaled = place.run("scale", "shapes", "--workers", "2")
    assert (scaled.code, scaled.err) == (0, "study shapes, launch 1 on local: 2 running\n")
    assert "attempt 1 starts" in place.run("logs", "shapes", "--worker", "w1-0").out
    refused = place.run("logs", "shapes", "--worker", "w1-7")
    assert refused.complaints == ["error: no launch of study shapes has a worker w1-7; it has w1-0, w1-1"]

    stopped = place.run("stop", "shapes")
    assert "study shapes: its workers leave after their epoch" in stopped.err
    again = place.run("scale", "shapes", "--workers", "2")
    assert again.code == 1 and "`tuner launch` continues it" in again.err

    watching = place.start("launch", spec, "--on", "local", "--workers", "2")
    # Earlier epochs are there already: that it says so shows that it listens.
    said = ""
    while "Launch 2: 2 workers on local" not in said:
        said += (line := watching.stderr.readline())
        assert line, said
    watching.send_signal(signal.SIGINT)
    said += watching.communicate(timeout=60)[1]
    assert watching.returncode == 130
    assert (
        "its workers continue. `tuner status shapes --watch` follows them, and `tuner stop shapes` stops them" in said
    )
    gate.touch()
    followed = place.run("status", "shapes", "--watch")
    assert followed.code == 0 and "shapes: finished" in followed.out
    # A worker may still be leaving when its study has ended.
    assert "launch 2 on local: " in followed.out and "launch 1" not in followed.out
    status = api.study_status("shapes", storage=place.storage)
    assert (status.complete, status.open) == (3, 0)


def test_a_launch_whose_workers_are_all_gone_says_so(place, gated):
    spec, _ = gated
    watching = place.start("launch", spec, "--workers", "1")
    place.wait_for_epoch("shapes")
    (worker,) = handles(place)
    os.kill(worker["pid"], signal.SIGKILL)
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == 1
    assert "Warning: worker w1-0 on" in said and "failed: it ended without a message" in said
    assert "error: every worker of launch 1 has ended, but study shapes has not" in said
    assert "launch 1 on local: 1 failed" in place.run("status", "shapes").out


def test_an_engine_that_there_is_not_and_an_option_that_it_has_not(place, raw_spec):
    spec = place.write_spec(raw_spec())
    (said,) = place.run("launch", spec, "--on", "pbs").complaints
    assert said.startswith("error: there is no engine 'pbs'; use one of local")
    wrong = place.run("launch", spec, "--on", "slurm", "--launch", "partiton=gpu")
    assert wrong.code == 1 and "launch.slurm.partiton: unknown key; did you mean partition?" in wrong.err
    many = place.run("launch", spec, "--gpus", "64", "--workers", "2")
    assert many.code == 1 and "64 GPUs per worker are requested, but this machine has" in many.err
    assert not (place.folder / "tuner.db").exists()


def test_workers_of_one_machine_do_not_write_their_counts_to_one_file(tuner, place, raw_spec):
    spec = place.folder / place.write_spec(raw_spec())
    refused = tuner("launch", spec, "--workers", "2", "--metrics-file", "counts", "--storage", place.storage)
    (line,) = refused.complaints
    assert (
        refused.code == 1
        and "/counts is for one worker" in line
        and "use --metrics-port, which gives each worker a port" in line
    )
    assert not Path(place.storage.removeprefix("sqlite:///")).exists()
