"""A study's files by name: what belongs together, and what is tidied away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.artifact_store import Artifact
from storage.artifacts import StudyArtifacts, resume_file
from storage.errors import ArtifactsUnavailable, DamagedArtifact, InvalidPlace, MissingArtifact


@pytest.fixture
def artifacts(tmp_path: Path) -> StudyArtifacts:
    return StudyArtifacts.at(tmp_path / "artifacts", "digits", tmp_path / "scratch")


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def saved(text: str):
    return lambda file: file.write_text(text)


def test_local_files_are_inside_the_study_and_nothing_is_made_before_it_is_written(artifacts, tmp_path):
    paths = [
        artifacts.trial_log(7, 1),
        artifacts.trial_log(7, 2),
        artifacts.worker_log("node-1"),
        artifacts.launcher_log(),
        artifacts.preflight_log(),
        artifacts.export_log(),
    ]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(tmp_path / "artifacts/digits") for path in paths)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(artifacts, tmp_path, name):
    with pytest.raises(ValueError, match="not a file name"):
        StudyArtifacts.at(tmp_path, name, tmp_path)
    with pytest.raises(ValueError, match="not a file name"):
        artifacts.worker_log(name)


@pytest.mark.parametrize("place", ["gs://bucket", "s3://", "s3:///prefix"])
def test_places_that_cannot_be_used_are_refused(tmp_path, place):
    with pytest.raises(InvalidPlace, match=r"s3://BUCKET"):
        StudyArtifacts.at(place, "digits", tmp_path)


def test_the_splits_come_back_with_every_byte_of_their_names(artifacts):
    artifacts.put_splits('{"file": "ü \udcff"}')
    assert artifacts.splits() == '{"file": "ü \udcff"}'


def test_a_resume_checkpoint_says_how_it_is_recognised(artifacts):
    written = artifacts.put_resume(3, 2, 15, saved("state"))
    assert (written.run, written.epoch, written.artifact.size) == (2, 15, 5)
    assert resume_file(written.artifact.key) == written
    assert artifacts.resume_files(3) == [written]
    assert artifacts.resume_files(4) == []
    assert resume_file("trials/00003/run-002/best.keras") is None


def test_resume_checkpoints_of_the_last_attempt_come_first_and_its_newest_first(artifacts):
    for run, epoch in ((1, 4), (10, 2), (2, 9), (10, 3)):
        artifacts.put_resume(0, run, epoch, saved("state"))
    assert [(file.run, file.epoch) for file in artifacts.resume_files(0)] == [(10, 3), (10, 2), (2, 9), (1, 4)]


@pytest.mark.parametrize("text", ["stat", "state and more", "STATE"])
def test_a_file_that_is_not_what_was_written_is_not_given(artifacts, tmp_path, text):
    written = artifacts.put_resume(0, 1, 1, saved("state")).artifact
    (tmp_path / "artifacts/digits" / written.key).write_text(text)
    with pytest.raises(DamagedArtifact, match=r"bytes|SHA-256"), artifacts.fetched(written):
        pass


def test_a_file_that_is_gone_is_missing(artifacts):
    with (
        pytest.raises(MissingArtifact, match=r"digits/nothing.keras does not exist"),
        artifacts.fetched(Artifact("nothing.keras")),
    ):
        pass


def test_a_file_of_an_older_version_is_given_unchecked(artifacts):
    kept = artifacts.put_model(0, 1, saved("model"))
    with artifacts.fetched(Artifact(kept.key)) as file:
        assert file.read_text() == "model"


def test_a_failed_write_leaves_the_former_file_and_nothing_else(artifacts, tmp_path):
    def fail(file: Path) -> None:
        file.write_text("half")
        raise OSError(28, "No space left on device")

    kept = artifacts.put_model(0, 1, saved("model"))
    with pytest.raises(ArtifactsUnavailable, match="No space"):
        artifacts.put_model(0, 1, fail)
    assert files_in(tmp_path / "artifacts") == ["digits/trials/00000/run-001/best.keras"]
    with artifacts.fetched(kept) as file:
        assert file.read_text() == "model"


def test_tidying_leaves_the_logs_and_the_kept_model(artifacts, tmp_path):
    for run in (1, 2):
        artifacts.put_model(0, run, saved(f"model {run}"))
        artifacts.put_resume(0, run, 1, saved("state"))
        artifacts.trial_log(0, run).write_text(f"attempt {run}\n")
    kept = artifacts.put_model(0, 2, saved("model"))
    other = artifacts.put_model(1, 1, saved("model"))
    (artifacts.trial_log(0, 1).parent / ".half-written.keras").write_text("")
    for _ in range(2):
        artifacts.tidy(0, kept.key)
    trials = tmp_path / "artifacts/digits/trials"
    assert files_in(trials) == [
        "00000/run-001/trial.log",
        "00000/run-002/best.keras",
        "00000/run-002/trial.log",
        "00001/run-001/best.keras",
    ]
    assert not (trials / "00000/run-001/resume").exists()
    artifacts.tidy(0, keep=None)
    artifacts.remove(other.key)
    assert files_in(trials) == ["00000/run-001/trial.log", "00000/run-002/trial.log"]


def test_logs_of_a_trial_are_those_of_its_attempts_in_order(artifacts):
    for run in (2, 10, 1):
        artifacts.trial_log(5, run).parent.mkdir(parents=True)
        artifacts.trial_log(5, run).write_text(f"attempt {run}\n")
        artifacts.keep_log(5, run)
    texts = []
    for log in artifacts.logs(5):
        with artifacts.fetched(log) as file:
            texts.append(file.read_text())
    assert texts == ["attempt 1\n", "attempt 2\n", "attempt 10\n"]


def test_places_lead_back_to_keys(artifacts, tmp_path):
    kept = artifacts.put_model(0, 1, saved("model"))
    place = artifacts.place_of(kept.key)
    assert os.path.isfile(place)
    assert artifacts.key_of(place) == kept.key


def test_all_that_is_removed_with_a_study_is_the_studys_own(artifacts):
    artifacts.put_splits("{}")
    artifacts.put_model(0, 1, saved("a model"))
    artifacts.put_resume(0, 1, 3, saved("a checkpoint"))
    artifacts.put_launch_file(1, "worker-1.log", saved("a log"))
    for log in (artifacts.trial_log(0, 1), artifacts.worker_log("node-1"), artifacts.launcher_log()):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("a log")
    artifacts.launcher_log().with_suffix(".forkserver.log").write_text("a log")
    for folder in (artifacts.callbacks_folder(0), artifacts.tensorboard_folder() / "00000-2"):
        folder.mkdir(parents=True)
        (folder / "events").write_text("events")
    own = ["thesis.tex", "trials/00000/notes.txt", "trials/data.csv", "workers/list.txt", "champions/blobs/mine.txt"]
    for name in own:
        (artifacts.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (artifacts.folder / name).write_text("precious")
    artifacts.tidy(0, keep=None)
    assert {*own} <= {*files_in(artifacts.folder)}
    artifacts.remove_all()
    assert files_in(artifacts.folder) == sorted(own)
    for name in own:
        (artifacts.folder / name).unlink()
    artifacts.remove_all()
    assert not artifacts.folder.exists()
