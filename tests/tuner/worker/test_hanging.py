"""Trials that do nothing any more are noticed, ended and gone on with; those that are only slow are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import optuna
import psutil
import pytest

from storage import leaderboard, progress, studies
from storage.progress import NOTE_ATTRIBUTE
from tests.tuner.worker.test_survival import trial_processes
from tuner.trial.pulse import PulseKeeper
from tuner.trial.pulse_file import Pulse, PulseFile
from tuner.worker import signs_of_life
from tuner.worker.hanging import forget_silence
from tuner.worker.search.optuna_trials import live_trial
from tuner.worker.signs_of_life import SignsOfLife


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


def test_a_halted_trial_is_ended_and_goes_on_and_one_that_shall_stop_does_not_wait_for_it(
    create_study, start_worker, make_spec, gate, database, eventually
):
    training = {"epochs": 3, "batch_size": 16, "hang_timeout": "4s"}
    spec = make_spec("Slow", options={"gate": str(gate)}, trials=1, training=training)
    record = create_study(spec)
    worker = start_worker(spec, grace_seconds=2)

    def running():
        return progress.status(database, spec.study).running_trials

    eventually(lambda: [each for each in running() if each.epoch])
    (halted,) = trial_processes(worker)
    halted.suspend()
    eventually(lambda: [each for each in running() if each.note and each.note.startswith("no sign of life since")])
    eventually(lambda: "trial 0: attempt 2 starts" in worker.log.read_text())
    assert not halted.is_running()
    (again,) = eventually(running)
    assert again.note.startswith("attempt 1: it hung: no sign of life for 4 s")

    # Its second epoch waits for the gate.
    eventually(lambda: "epoch 1" in _last_log(spec).lower())
    trial_processes(worker)[0].suspend()
    studies.request_stop(database, spec.study)
    assert worker.wait(20)
    waiting = leaderboard.trial(database, spec.study, 0)
    assert (waiting.summary.state, waiting.attempts) == ("waiting", 1)
    assert studies.load_study(database, spec.study).state == "stopped"
    assert record.budget == 1


def _last_log(spec):
    return max(Path(spec.artifacts, spec.study, "trials/00000").glob("run-*/trial.log")).read_text()


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(signs_of_life, "time", clock)
    return clock


def looked(signs, clock, seconds, patience=300.0):
    """Whether the signs are missing after so many seconds in which somebody looked."""
    for _ in range(seconds):
        clock.now += 1.0
        missing = signs.are_missing(patience)
    return missing


def test_in_the_middle_of_steps_only_batches_count(clock, tmp_path):
    file = PulseFile(tmp_path)
    signs = SignsOfLife(os.getpid(), PulseFile(tmp_path))
    file.write(Pulse(batches=10, step_seconds=1.0, in_step=True))
    assert not looked(signs, clock, 299)
    file.write(Pulse(batches=11, step_seconds=1.0, in_step=True))
    assert not looked(signs, clock, 300)
    assert looked(signs, clock, 1)
    assert signs.what_is_missing() == "batch"


def test_a_step_that_takes_a_minute_has_ten(clock, tmp_path):
    file = PulseFile(tmp_path)
    signs = SignsOfLife(os.getpid(), file)
    file.write(Pulse(batches=10, step_seconds=60.0, in_step=True))
    assert not looked(signs, clock, 600)
    assert looked(signs, clock, 1)


@pytest.fixture
def process():
    """One that computes and one that waits."""
    started = []

    def start(code):
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        return started[-1].pid

    yield start
    for each in started:
        each.kill()
        each.wait()


def test_outside_of_steps_whatever_computes_is_alive(clock, monkeypatch):
    used = {"seconds": 0.0}
    monkeypatch.setattr(signs_of_life, "_cpu_seconds", lambda pid: used["seconds"])
    signs = SignsOfLife(1, None)
    for _ in range(50):
        used["seconds"] += 1.0
        assert not looked(signs, clock, 31)
    assert not looked(signs, clock, 240)
    assert looked(signs, clock, 60)
    assert signs.what_is_missing() == "sign of life"


def test_what_a_process_and_its_children_compute_is_found(process):
    busy = process("import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])")
    deadline = time.monotonic() + 60
    while signs_of_life._cpu_seconds(busy) < 1.0:
        assert time.monotonic() < deadline
    psutil.Process(busy).children()[0].kill()
    assert signs_of_life._cpu_seconds(2**22 + 1) == 0.0


def test_time_in_which_the_worker_did_not_look_does_not_count(clock, tmp_path):
    signs = SignsOfLife(os.getpid(), PulseFile(tmp_path))
    PulseFile(tmp_path).write(Pulse(batches=1, in_step=True))
    looked(signs, clock, 100)
    clock.now += 10_000
    assert not signs.are_missing(300)


def test_a_pulse_knows_steps_from_what_is_around_them(tmp_path):
    file = PulseFile(tmp_path)
    keeper = PulseKeeper(file)
    seen = []
    for event in ("train_begin", "epoch_begin", "batch", "batch", "test_begin", "test_batch", "test_batch", "test_end"):
        match event:
            case "epoch_begin":
                keeper.on_epoch_begin(0)
            case "batch":
                keeper.on_train_batch_end(0)
            case "test_batch":
                keeper.on_test_batch_end(0)
            case _:
                getattr(keeper, f"on_{event}")()
        seen.append(file.read())
    assert [each.in_step for each in seen] == [False, False, False, True, False, False, True, False]
    assert len({each.batches for each in seen}) == len(seen)
    assert seen[-1].step_seconds > 0


@pytest.mark.parametrize(
    ("note", "stays"),
    [
        ("no batch since 12:00:00 UTC", None),
        ("attempt 1: it hung: no batch for 300 s", "attempt 1: it hung: no batch for 300 s"),
    ],
)
def test_a_new_attempt_is_not_called_silent_for_the_last_one(note, stays):
    study = optuna.create_study(study_name="s")
    trial = study.ask()
    live = live_trial("s", study._storage, trial._trial_id, study.sampler, study.pruner)
    live.remember(NOTE_ATTRIBUTE, note)
    forget_silence(live)
    assert live.recall(NOTE_ATTRIBUTE) == stays
