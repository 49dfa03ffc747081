"""Launching, going on, stopping and interrupting, as a user does it at a terminal."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from storage import studies
from storage.connecting import connect
from storage.tables import StudyRow
from tuner import api

WAITING = Path(__file__).with_name("waiting_spaces.py")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@pytest.mark.fast
def test_a_finished_study_says_so(finished, tuner, tmp_path):
    ran = tuner("launch", "spec.yaml", cwd=finished[0].folder)
    assert (ran.code, ran.out) == (0, "")
    assert ran.complaints[0] == "Study shapes has ended: all 4 trials are done"
    assert ran.complaints[-1].startswith("best: ")
    assert tuner("stop", "shapes", cwd=finished[0].folder).complaints == ["study shapes is finished"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "seed=3"), "seed is 3, was 0"),
        (
            ("--set", "training.epochs=5", "--set", "sampler=random"),
            "sampler.name is 'random', was 'tpe'; training.epochs is 5, was 2",
        ),
        (("--set", "data.validation_split=0.3", "--trials", "9"), "data.validation_split is 0.3, was 0.25"),
        (("--trials", "3"), "trials: can be raised, not lowered (4 to 3)"),
    ],
)
def test_another_spec_is_refused_with_the_keys_that_differ(options, said, finished, tuner):
    ran = tuner("launch", "spec.yaml", *options, cwd=finished[0].folder)
    (line,) = ran.complaints
    assert (ran.code, line.startswith("error: "), said in line) == (1, True, True), line
    now = tuner("status", "shapes", "--format", "json", cwd=finished[0].folder).json
    assert (now["state"], now["budget"]) == ("finished", 4)


def test_a_study_of_other_code_is_refused_unless_that_is_allowed(finished, tuner, tmp_path):
    shutil.copytree(finished[0].folder, tmp_path, dirs_exist_ok=True)
    with connect(f"sqlite:///{tmp_path / 'tuner.db'}").writing() as session:
        session.execute(update(StudyRow).values(versions={"space": "f" * 64, "keras": "1.0"}))
    for command in (("launch", "spec.yaml", "--trials", "5"), ("work", "shapes")):
        ran = tuner(*command)
        (line,) = ran.complaints
        assert ran.code == 1
        assert "the search space's code is" in line and "keras is 3." in line and "--allow-version-drift" in line
    assert tuner("status", "shapes", "--format", "json").json["budget"] == 4
    assert tuner("launch", "spec.yaml", "--allow-version-drift").code == 0


def test_a_launch_whose_worker_refuses_leaves_the_study_as_it_was(finished, tuner, tmp_path):
    shutil.copytree(finished[0].folder, tmp_path, dirs_exist_ok=True)
    with connect(f"sqlite:///{tmp_path / 'tuner.db'}").writing() as session:
        session.execute(update(StudyRow).values(fingerprint="f" * 64))
    before = tuner("status", "shapes", "--format", "json").json
    ran = tuner("launch", "spec.yaml", "--trials", "5")
    assert ran.code == 1 and "the data is" in ran.complaints[-1]
    now = tuner("status", "shapes", "--format", "json").json
    assert (now["state"], now["budget"], now["open"]) == (before["state"], before["budget"], before["open"])


@pytest.mark.slow
def test_raised_trials_go_on(finished, place):
    shutil.copytree(finished[0].folder, place.folder, dirs_exist_ok=True)
    ran = place.run("launch", "spec.yaml", "--trials", "5")
    assert ran.code == 0
    assert ran.complaints[0] == "Resuming study shapes with trials changed"
    ended = [line for line in ran.complaints if "  complete  " in line]
    assert len(ended) == 1 and ended[0].startswith("trial 4  complete")
    assert ran.complaints[-2].endswith("5 complete, 0 pruned, 0 failed, 0 open of 5 trials")


@pytest.mark.slow
def test_a_study_without_a_complete_trial_exits_3_and_its_trials_say_why(place, raw_spec, tuner, monkeypatch):
    named = f"sqlite:///{place.folder}/named.db"
    spec = place.write_spec(raw_spec(f"{WAITING}:FailsInTrials", trials=2, storage=named))
    ran = place.run("launch", spec)
    assert ran.code == 3
    assert "trial 1  failed  0 epochs  RuntimeError: the second batch was never right" in ran.complaints
    assert ran.complaints[-1] == "no trial is complete; `tuner trials` shows why"
    assert tuner("launch", spec).code == 3
    assert (place.folder / "named.db").exists() and not (place.folder / "tuner.db").exists()
    assert (place.folder / "tuner-artifacts/shapes/trials/00000/run-001/trial.log").exists()

    monkeypatch.setenv("TUNER_STORAGE", named)
    shown = tuner("show", "shapes", "0")
    assert "0 of study shapes: failed (RuntimeError: the second batch was never right)" in shown.out
    assert "Traceback (most recent call last):" in shown.out and "waiting_spaces.py" in shown.out
    refused = tuner("export", "shapes", "--to", "champion")
    assert (refused.code, refused.complaints) == (1, ["error: study shapes has no complete trial yet"])
    refused = tuner("export", "shapes", "--to", "champion", "--trial", "1")
    assert refused.complaints[0].startswith("error: trial 1 (failed) has no kept model; ")
    assert not (place.folder / "champion").exists()


def _waiting_spec(raw_spec, place, space="UntilGate"):
    gate = place.folder / "gate"
    training = {"epochs": 10_000, "batch_size": 16, "early_stopping": None}
    named = {"name": f"{WAITING}:{space}", "gate": str(gate)}
    return gate, place.write_spec(raw_spec() | {"space": named, "trials": 1, "training": training})


def _interrupt(launcher: subprocess.Popen) -> None:
    os.killpg(launcher.pid, signal.SIGINT)


@pytest.mark.slow
def test_interrupted_stopped_and_launched_again_it_is_one_trial(place, raw_spec, tuner):
    gate, spec = _waiting_spec(raw_spec, place)

    launcher = place.start("launch", spec)
    place.wait_for_epoch("shapes", 2)
    _interrupt(launcher)
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 130
    assert "Interrupted: running trials write their checkpoints" in err
    assert err.splitlines()[-1] == "interrupted" and "Traceback" not in err
    now = api.study_status("shapes", storage=place.storage)
    assert (now.state, now.reason, now.running, now.open) == ("stopped", "interrupted", 0, 1)
    trained = api.show_trial("shapes", 0, storage=place.storage).curve[-1].epoch
    assert trained >= 2

    launcher = place.start("launch", spec)
    place.wait_for_epoch("shapes", trained + 1)
    stopped = tuner("stop", "shapes")
    assert (stopped.code, stopped.out) == (0, "")
    assert stopped.err.startswith("study shapes: its workers leave after their epoch")
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 0
    assert "Resuming study shapes" in err
    said = "study shapes stopped: stop was requested. 0 complete, 0 pruned, 0 failed, 1 open of 1 trials"
    assert err.splitlines()[-1] == said
    assert api.study_status("shapes", storage=place.storage).state == "stopped"

    gate.touch()
    terminal = _Terminal()
    launcher = place.start("launch", spec, stderr=terminal.theirs)
    assert launcher.wait(timeout=60) == 0
    screen = terminal.close()
    assert re.search(r"shapes +\S+ +1/1 trials|shapes +\S+ +0/1 trials", screen)
    assert re.search(r"trial 0 +complete +val_accuracy ", screen)
    detail = api.show_trial("shapes", 0, storage=place.storage)
    epochs = [row.epoch for row in detail.curve]
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) > trained
    assert detail.attempts == 1, "leaving in order spends no attempt"


class _Terminal:
    """A pseudo-terminal of 100 columns that keeps what was written to it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self._text = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._ours, 4096):
                self._text += chunk
        except OSError:
            # Linux says so when the last writer has closed.
            return

    def close(self) -> str:
        os.close(self.theirs)
        self._reader.join()
        os.close(self._ours)
        return _CONTROL.sub("", self._text.decode())


@pytest.mark.slow
def test_a_second_interruption_ends_at_once_and_leaves_no_process(place, raw_spec):
    _, spec = _waiting_spec(raw_spec, place, "Deaf")
    launcher = place.start("launch", spec)
    place.wait_for_epoch("shapes")
    family = psutil.Process(launcher.pid).children(recursive=True)
    assert len(family) >= 2
    _interrupt(launcher)
    for line in launcher.stderr:
        if line.startswith("Interrupted: "):
            break
    _interrupt(launcher)
    assert launcher.wait(timeout=5) == 130
    assert "Traceback" not in launcher.stderr.read()
    assert not psutil.wait_procs(family, timeout=20)[1]
    now = api.study_status("shapes", storage=place.storage)
    assert (now.state, now.complete, now.failed) == ("stopped", 0, 0)


def test_an_interruption_leaves_a_study_running_that_others_work_on(database, create_study, make_spec):
    from storage import workers
    from tuner.launch.working import _note_interrupted
    from tuner.study.open_study import OpenStudy

    record = create_study(make_spec())
    for name, pid in (("mine", 1), ("theirs", 2)):
        described = {"host": "here", "slots": 1, "gpus": [], "version": "0"}
        workers.register(database, name, record.study_id, pid=pid, **described)
    _note_interrupted(OpenStudy(database, record), 1)
    assert studies.load_study(database, record.name).state == "running"
    workers.leave(database, "theirs")
    _note_interrupted(OpenStudy(database, record), 1)
    stopped = studies.load_study(database, record.name)
    assert (stopped.state, stopped.reason) == ("stopped", "interrupted")
