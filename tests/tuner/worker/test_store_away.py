"""A place of artifacts that is full, away or gone costs a study checkpoints and time, and never a trial."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage import held_folders, leaderboard, progress
from storage.artifacts import StudyArtifacts
from storage.errors import ArtifactsUnavailable, LeaseLost
from tuner.errors import DataError
from tuner.trial.messages import Stop, StoreState
from tuner.worker import entry, preparing, store_watch
from tuner.worker.hanging import HangWatch
from tuner.worker.patience import Patience
from tuner.worker.running import RunningTrial, Slot
from tuner.worker.store_watch import StoreWatch
from tuner.worker.supervisor import Supervisor


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


@pytest.fixture
def slow(make_spec, gate):
    """One epoch is free; the others wait for the gate."""
    return make_spec("Slow", options={"gate": str(gate)}, trials=2, training={"epochs": 3, "batch_size": 16})


def test_trials_wait_for_a_disk_that_is_away_and_for_one_that_was_emptied_nothing_waits(
    create_study, start_worker, slow, gate, database, eventually
):
    create_study(slow)
    worker = start_worker(slow)
    folder = Path(slow.artifacts)
    eventually(lambda: [t for t in progress.status(database, slow.study).running_trials if t.epoch])
    away = folder.rename(folder.with_name("away"))
    folder.write_text("where a disk was")
    gate.touch()
    (warning,) = eventually(worker.news)
    assert "Not a directory; trials that run go on, and their results wait" in warning
    eventually(lambda: leaderboard.trial(database, slow.study, 0).summary.epochs == 3)
    now = progress.status(database, slow.study)
    assert (now.complete, now.failed, now.running) == (0, 0, 1)
    assert not worker.wait(0)

    folder.unlink()
    away.rename(folder)
    eventually(lambda: leaderboard.trial(database, slow.study, 0).checkpoint)
    shutil.rmtree(folder)
    assert worker.wait(60)
    worker.raise_if_failed()
    ended = [leaderboard.trial(database, slow.study, number) for number in range(2)]
    assert [(each.summary.outcome, each.attempts) for each in ended] == [("complete", 1)] * 2
    assert Path(ended[1].checkpoint).is_file()
    assert worker.log.read_text().count("no trial begins") == 1


@pytest.fixture
def artifacts(tmp_path):
    return StudyArtifacts.at(tmp_path / "artifacts", "digits", tmp_path)


def test_each_outage_is_said_once_and_no_trial_begins_while_one_waits(artifacts, monkeypatch, caplog):
    caplog.set_level("INFO")
    watch = StoreWatch(artifacts)
    watch.check()
    # One that waits has more to write than fits now.
    for number in (3, 4):
        watch.hear(number, StoreState(away="cannot use the artifacts: No space left on device"))
    assert not watch.seems_there()
    assert watch.is_waited_for_by(3)
    watch.hear(3, StoreState())
    assert not watch.seems_there()
    watch.forget(4)
    assert watch.seems_there()
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no trial begins",
        "the artifacts can be written again",
    ]

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert watch.has_failed_now()
    assert not watch.seems_there()


def test_a_store_that_stalls_keeps_the_worker_from_nothing(artifacts, monkeypatch):
    begun, there = threading.Event(), threading.Event()
    probes = []

    def stalls():
        probes.append(threading.current_thread())
        begun.set()
        there.wait()

    monkeypatch.setattr(artifacts, "check_writable", stalls)
    monkeypatch.setattr(store_watch, "_ANSWER_SECONDS", 0.01)
    watch = StoreWatch(artifacts)
    with pytest.raises(ArtifactsUnavailable, match=r"no answer within 0.01 s") as away:
        watch.check()
    watch.refused(away.value)
    assert begun.wait(60)
    assert watch.has_failed_now() and not watch.seems_there()
    assert len(probes) == 1
    there.set()
    probes[0].join()
    monkeypatch.setattr(store_watch, "_LOOK_SECONDS", 0.0)
    # The late answer.
    assert watch.seems_there()
    assert len(probes) == 1


def test_no_trial_begins_without_temporary_files(artifacts, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(held_folders.Path, "mkdir", full)
    said = "the folder for temporary files on this machine: No space left on device"
    with pytest.raises(ArtifactsUnavailable, match=said):
        StoreWatch(artifacts).check()
    with pytest.raises(DataError, match="no folder for temporary files can be made: No space left on device; free"):
        preparing._begun("spec", "cache", "log")
    monkeypatch.setattr(entry.logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(entry.logging, "raiseExceptions", True)
    assert entry.main() == 1


def test_a_trial_that_waits_for_the_store_is_alive_and_hears_once_that_the_study_stops():
    said, signs = [], SimpleNamespace(note=lambda: None, are_missing=lambda _: False, silent_seconds=0, allowed=float)
    running = RunningTrial(None, None, SimpleNamespace(send=said.append), None, signs)
    watch = HangWatch(300.0, 8.0, Patience(threading.Event()))
    for is_stopping, waits, heard in (
        (False, True, []),
        (True, False, []),
        (True, True, [Stop()]),
        (True, True, [Stop()]),
    ):
        assert watch.look(running, is_stopping=is_stopping, waits_for_store=waits) is None
        assert said == heard
    assert running.stop_sent


def test_a_lease_that_was_lost_meanwhile_need_not_be_released(artifacts, monkeypatch):
    def away():
        raise ArtifactsUnavailable(artifacts.place, "it stalls")

    def lost(*_, **__):
        raise LeaseLost(3)

    refused = []
    supervisor = Supervisor.__new__(Supervisor)
    supervisor._slots = [Slot(None)]
    supervisor._store = SimpleNamespace(check=away, refused=refused.append)
    supervisor._study, supervisor._patiently = SimpleNamespace(database=None), lost
    monkeypatch.setattr(supervisor, "_may_start", lambda: True)
    monkeypatch.setattr(supervisor, "_acquired", lambda: SimpleNamespace(ordinal=3))
    supervisor._fill_slots()
    assert len(refused) == 1
