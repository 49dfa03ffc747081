"""Resume checkpoints: whole, torn and missing; when they are written, and which are kept."""

from __future__ import annotations

import errno

import keras
import numpy as np
import pytest

from storage.artifacts import StudyArtifacts
from storage.errors import ArtifactsUnavailable
from tests.attempts import Desk
from tuner.trial import resume, resume_writer
from tuner.trial.channel import Channel
from tuner.trial.failure import Interrupted
from tuner.trial.resume import Epoch, Progress, Snapshot
from tuner.trial.resume_writer import ResumeWriter
from tuner.trial.state import ModelState, OptimizerState, assign
from tuner.trial.store_news import StoreNews

HISTORY = tuple(Epoch({"loss": 1.0 / n}, 0.5) for n in range(1, 10))


def snapshot(epoch, best_epoch):
    variables = [np.full((3,), epoch, np.float32), np.array(epoch, np.int64)]
    best = [np.full((3,), best_epoch, np.float32)]
    progress = Progress(history=HISTORY[:epoch], best_epoch=best_epoch, best_value=0.5)
    optimizers = (None, OptimizerState((0,), [np.full((3,), -epoch, np.float32)]))
    return Snapshot(progress, ModelState(variables, optimizers), best, resume.random_state())


@pytest.fixture
def artifacts(tmp_path):
    return StudyArtifacts.at(tmp_path, "digits", tmp_path)


@pytest.fixture
def written(artifacts):
    """Keys of checkpoints after the epochs 3, 2 and 1 of trial 0, the newest first."""
    for epoch in (1, 2, 3):
        artifacts.put_resume(0, 1, epoch, lambda file, epoch=epoch: resume.write(file, snapshot(epoch, epoch)))
    return [file.artifact.key for file in artifacts.resume_files(0)]


def test_what_is_written_is_read(tmp_path):
    resume.write(tmp_path / "file.npz", snapshot(4, 2))
    read = resume.read(tmp_path / "file.npz")
    assert read.progress == Progress(history=HISTORY[:4], best_epoch=2, best_value=0.5)
    assert read.progress.epoch == 4
    assert [value.tolist() for value in read.state.variables] == [[4, 4, 4], 4]
    unused, used = read.state.optimizers
    assert unused is None
    assert (used.built_for, [value.tolist() for value in used.variables]) == ((0,), [[-4, -4, -4]])
    assert read.best[0].tolist() == [2, 2, 2]


def test_a_torn_or_missing_checkpoint_falls_back_to_the_one_before_it_and_says_so(artifacts, written, tmp_path, capsys):
    assert resume.read_first(artifacts, written).progress.epoch == 3
    newest, second, _ = (tmp_path / "digits" / key for key in written)
    newest.write_bytes(newest.read_bytes()[:-200])
    assert resume.read_first(artifacts, written).progress.epoch == 2
    said = capsys.readouterr().out
    assert "is damaged: it has" in said
    assert "trying the one before it" in said
    second.unlink()
    assert resume.read_first(artifacts, written).progress.epoch == 1
    assert "does not exist" in capsys.readouterr().out


def test_a_checkpoint_with_the_right_hash_and_other_contents_is_passed_over(artifacts, written):
    other = artifacts.put_resume(0, 1, 4, lambda file: file.write_bytes(b"not a snapshot"))
    assert resume.read_first(artifacts, [other.artifact.key, *written]).progress.epoch == 3


def test_without_any_readable_checkpoint_training_starts_again_and_says_so(artifacts, written, tmp_path, capsys):
    for key in written:
        (tmp_path / "digits" / key).write_bytes(b"")
    assert resume.read_first(artifacts, written) is None
    assert "training starts again" in capsys.readouterr().out
    assert resume.read_first(artifacts, []) is None
    assert capsys.readouterr().out == ""


def test_a_checkpoint_that_could_not_be_written_leaves_the_former_ones(artifacts, written, tmp_path):
    def full(file):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtifactsUnavailable, match="No space"):
        artifacts.put_resume(0, 1, 4, full)
    assert [file.artifact.key for file in artifacts.resume_files(0)] == written
    assert len(list((tmp_path / "digits/trials/00000/run-001/resume").iterdir())) == 3


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(resume_writer, "time", clock)
    return clock


def test_checkpoints_are_written_as_often_as_their_cost_allows(artifacts, clock, monkeypatch):
    writer = ResumeWriter(artifacts, 0, 1, StoreNews([].append))
    cost = 0.125

    def slow_write(file, taken):
        clock.now += cost
        file.write_bytes(b"state")

    monkeypatch.setattr(resume, "write", slow_write)
    times = []
    for epoch in range(1, 10):
        clock.now += 10
        if writer.offer(snapshot(epoch, epoch), epoch_seconds=10):
            times.append(epoch)
    # 0.125 s are 0.5 % of 25 s: every third epoch of 10 s.
    assert times == [1, 4, 7]


def test_an_expensive_checkpoint_never_risks_more_than_a_minute_or_one_epoch(artifacts, clock, monkeypatch):
    writer = ResumeWriter(artifacts, 0, 1, StoreNews([].append))

    def slow_write(file, taken):
        clock.now += 30
        file.write_bytes(b"state")

    monkeypatch.setattr(resume, "write", slow_write)
    unwritten = longest = 0
    for epoch in range(1, 10):
        clock.now += 25
        unwritten += 25
        longest = max(longest, unwritten)
        if writer.offer(snapshot(epoch, epoch), epoch_seconds=25):
            unwritten = 0
    assert longest == 50
    clock.now += 90
    assert writer.offer(snapshot(9, 9), epoch_seconds=90)


def epochs_kept(artifacts):
    return [file.epoch for file in artifacts.resume_files(0)]


def test_the_newest_checkpoints_are_kept_and_those_that_the_database_knows_of(artifacts, clock):
    writer = ResumeWriter(artifacts, 0, 1, StoreNews([].append))
    for epoch in range(1, 5):
        clock.now += 60
        assert writer.offer(snapshot(epoch, epoch), epoch_seconds=60)
        writer.acknowledge(epoch)
    assert epochs_kept(artifacts) == [4, 3, 2]
    # The worker is frozen, or the database is away: whoever adopts the trial now finds these two.
    for epoch in range(5, 9):
        clock.now += 60
        assert writer.offer(snapshot(epoch, epoch), epoch_seconds=60)
    assert epochs_kept(artifacts) == [8, 7, 4, 3]


def test_a_full_disk_costs_checkpoints_and_is_said_once(artifacts, clock, monkeypatch, capsys):
    told = []
    writer = ResumeWriter(artifacts, 0, 1, StoreNews(told.append))
    with monkeypatch.context() as full:
        full.setattr(resume, "write", _no_space)
        for epoch in (1, 2):
            clock.now += 60
            assert not writer.offer(snapshot(epoch, epoch), epoch_seconds=60)
    clock.now += 60
    assert writer.offer(snapshot(3, 3), epoch_seconds=60)
    assert epochs_kept(artifacts) == [3]
    assert [state.away is None for state in told] == [False, True]
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and "No space left on device; training continues" in said[0]


def test_a_checkpoint_that_the_trial_cannot_do_without_waits_for_the_disk(artifacts, monkeypatch):
    told = []
    writer, channel = ResumeWriter(artifacts, 0, 1, StoreNews(told.append)), Channel(Desk(lambda epoch: "pause").theirs)
    # Its worker leaves meanwhile.
    channel.stop_requested.set()
    with monkeypatch.context() as full:
        full.setattr(resume, "write", _no_space)
        writer.offer(snapshot(2, 2), epoch_seconds=0.1)
        with pytest.raises(Interrupted):
            writer.write_surely(channel)
    assert epochs_kept(artifacts) == []
    writer.write_surely(channel)
    assert epochs_kept(artifacts) == [2]


def _no_space(file, taken):
    file.write_bytes(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_random_generators_go_on_where_they_were():
    state = resume.random_state()
    drawn = np.random.random(3).tolist()
    resume.restore_random_state(state)
    assert np.random.random(3).tolist() == drawn


def test_another_model_is_refused():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="the checkpoint has 1 variables, the model 2"):
        assign(model.variables, [np.zeros(2)])
