"""A place of artifacts that is full, away or gone costs a study checkpoints and time, and never a trial."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from storage import leaderboard, progress
from storage.artifacts import StudyArtifacts
from tuner.trial.messages import StoreState
from tuner.worker.store_watch import StoreWatch


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
