"""Resume checkpoints: whole, torn and missing."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tuner.trial import resume
from tuner.trial.resume import Progress, Snapshot


def snapshot(epoch, best_epoch):
    variables = [np.full((3,), epoch, np.float32), np.array(epoch, np.int64)]
    best = [np.full((3,), best_epoch, np.float32)]
    return Snapshot(
        Progress(epoch=epoch, best_epoch=best_epoch, best_value=0.5), variables, best, resume.random_state()
    )


def test_what_is_written_is_read(tmp_path):
    name = resume.write(tmp_path, snapshot(4, 2))
    read = resume.read_latest(tmp_path)
    assert name == "resume-000004.npz"
    assert read.progress == Progress(epoch=4, best_epoch=2, best_value=0.5)
    assert [value.tolist() for value in read.variables] == [[4, 4, 4], 4]
    assert read.best[0].tolist() == [2, 2, 2]


def test_a_torn_checkpoint_falls_back_to_the_one_before_it_and_says_so(tmp_path, capsys):
    for epoch in (1, 2, 3):
        resume.write(tmp_path, snapshot(epoch, epoch))
    assert len(list(tmp_path.iterdir())) == 2
    newest = tmp_path / "resume-000003.npz"
    newest.write_bytes(newest.read_bytes()[:-200])
    assert resume.read_latest(tmp_path).progress.epoch == 2
    assert "resume-000003.npz cannot be read" in capsys.readouterr().out
    (tmp_path / "resume-000002.npz").write_bytes(b"")
    assert resume.read_latest(tmp_path) is None


def test_a_checkpoint_that_could_not_be_written_leaves_the_former_ones(tmp_path):
    resume.write(tmp_path, snapshot(1, 1))
    (tmp_path / "resume-000002.npz").mkdir()
    with pytest.raises(OSError, match="resume-000002"):
        resume.write(tmp_path, snapshot(2, 2))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["resume-000001.npz"]


def test_random_generators_go_on_where_they_were():
    state = resume.random_state()
    drawn = np.random.random(3).tolist()
    resume.restore_random_state(state)
    assert np.random.random(3).tolist() == drawn


def test_another_model_is_refused():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="the checkpoint has 1 variables, the model 2"):
        resume.assign(model.variables, [np.zeros(2)])
