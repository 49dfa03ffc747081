"""What people see: tables that stay readable on narrow screens, and progress that misses no trial."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import optuna
import pytest

from storage.connecting import connect
from storage.leaderboard import TrialDetail
from storage.progress import RunningTrial, StudyStatus
from storage.summaries import TrialSummary
from tuner.presentation.progress import Progress
from tuner.presentation.tables import Format, print_json, print_records, show
from tuner.spec.objective import Objective

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
NAMES = [f"a_rather_long_name_{index:02d}" for index in range(24)]


@pytest.fixture
def wide_study(tmp_path):
    """A study of 24 hyperparameters that Optuna alone made."""
    database = connect(f"sqlite:///{tmp_path / 'tuner.db'}", create=True)
    study = optuna.create_study(storage=database.rdb, study_name="wide", direction="maximize")
    distributions = {name: optuna.distributions.FloatDistribution(0, 1) for name in NAMES}
    for number in range(6):
        params = {name: (index + number) / 77 for index, name in enumerate(NAMES)}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=number / 10))
    database.close()


@pytest.fixture
def screen(tuner, monkeypatch):
    """``screen(80, "best", "wide")``: the lines that a terminal of that width shows, without styles."""

    def printed(columns, *arguments):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))
        ran = tuner(*arguments)
        assert ran.code == 0
        lines = [_STYLE.sub("", line).rstrip() for line in ran.out.splitlines()]
        assert max(map(len, lines)) <= columns
        return lines

    return printed


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_the_best_of_many_hyperparameters_fit_the_screen_whole(columns, wide_study, screen):
    lines = screen(columns, "best", "wide")
    assert lines[0].split() == ["trial", "5", "4", "3", "2", "1"]
    for index, name in enumerate(NAMES):
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert line.split()[1:] == [show((index + number) / 77) for number in (5, 4, 3, 2, 1)]


def test_trials_that_do_not_fit_side_by_side_are_wrapped_with_every_value(wide_study, screen):
    text = "\n".join(screen(60, "best", "wide"))
    assert all(text.count(f"{name}=") == 5 for name in NAMES)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_listing_has_one_line_a_trial_cut_at_the_screens_edge(columns, wide_study, screen):
    header, *lines = screen(columns, "trials", "wide")
    assert header.split() == ["trial", "value", "ended", "epochs", "seconds", "params"]
    assert len(lines) == 6
    assert all(line.endswith("…") and "a_rather_long_name_00=" in line for line in lines)


@pytest.mark.parametrize("command", ["best", "trials"])
def test_a_pipe_gets_one_whole_line_a_trial(command, wide_study, tuner, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, *lines = tuner(command, "wide").out.splitlines()
    assert len(lines) == (5 if command == "best" else 6)
    assert all(all(name in line for name in NAMES) for line in lines)


def test_a_plain_optuna_study_can_be_queried(wide_study, tuner):
    assert "wide: optuna" in tuner("status", "wide").out
    assert tuner("show", "wide", "3").code == 0
    (found,) = tuner("studies", "--format", "json").json
    assert (found["study"], found["done"], found["best_trial"]) == ("wide", 6, 5)


def test_json_is_strict(capsys):
    print_json([{"nan": float("nan"), "inf": [float("inf")], "name": "a\udcffb"}])
    printed = capsys.readouterr().out
    found = json.loads(printed, parse_constant=lambda word: pytest.fail(word))
    assert found == [{"nan": None, "inf": [None], "name": "a\udcffb"}]


def test_names_that_would_break_a_line_are_escaped_in_tables_and_kept_in_csv(capsys):
    records = [{"file": "two\nlines \x1b[31m.png", "label": "ü"}]
    print_records(records, ("file", "label"), Format.TABLE)
    assert capsys.readouterr().out.splitlines()[1].split("  ")[0] == r"two\nlines \x1b[31m.png"
    print_records(records, ("file", "label"), Format.CSV)
    assert capsys.readouterr().out == 'file,label\n"two\nlines \x1b[31m.png",ü\n'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "true"),
        (0.5, "0.5"),
        (1.0, "1"),
        (0.123456, "0.1235"),
        (0.00012345, "0.0001234"),
        (123456.0, "123456"),
        (123456.7, "1.235e+05"),
        (0.0, "0"),
        (7, "7"),
        ([1, 2.5], "1, 2.5"),
        ({"a": 0.1}, "a=0.1"),
    ],
)
def test_values_as_people_read_them(value, shown):
    assert show(value) == shown


class _Study:
    """Trials that a test ends as it likes, read as ``Progress`` reads them."""

    def __init__(self) -> None:
        self.trials: dict[int, TrialSummary] = {}

    def set(self, number, outcome=None, value=None, epoch=0):
        state = "running" if outcome is None else "complete" if outcome == "complete" else "failed"
        self.trials[number] = TrialSummary(number, value, state, outcome, {}, {}, epoch, 1.0)

    def read(self, number):
        unknown = dict.fromkeys(TrialDetail.__dataclass_fields__)
        outcome = self.trials[number].outcome
        reason = None if outcome == "complete" else "a bug\nof mine"
        return TrialDetail(**unknown | {"summary": self.trials[number], "curve": [], "reason": reason})

    def newest(self, count):
        return [self.trials[number] for number in sorted(self.trials, reverse=True)[:count]]

    def status(self, budget=9):
        running = [item for item in self.trials.values() if item.outcome is None]
        complete = [item for item in self.trials.values() if item.outcome == "complete"]
        best = max(complete, key=lambda item: item.value, default=None)
        failed = len(self.trials) - len(running) - len(complete)
        return StudyStatus(
            study="s",
            state="running",
            reason=None,
            budget=budget,
            complete=len(complete),
            pruned=0,
            failed=failed,
            running=len(running),
            open=budget - len(self.trials),
            outcomes={},
            best_value=best.value if best else None,
            best_trial=best.trial if best else None,
            running_trials=[
                RunningTrial(
                    item.trial, "w", item.epochs or None, {"acc": item.value} if item.epochs else {}, None, None
                )
                for item in running
            ],
            workers=[],
        )


def test_a_trial_that_ended_after_its_status_was_read_is_told_of_once(capsys):
    study = _Study()
    progress = Progress([Objective(metric="acc", direction="maximize")], 3, study.read, study.newest)
    with progress:
        progress.status(study.status())
        study.set(0, epoch=1)
        study.set(1, epoch=1)
        progress.status(study.status())
        study.set(0, "complete", 0.5, 3)
        status = study.status()
        study.set(1, "complete", 0.4, 3)
        progress.status(status)
        progress.status(study.status())
    lines = [line for line in capsys.readouterr().err.splitlines() if "complete" in line]
    assert lines == [
        "trial 0  complete  acc 0.5  3 epochs  best so far",
        "trial 1  complete  acc 0.4  3 epochs",
    ]


def test_progress_tells_of_trials_that_begin_and_end_between_two_looks(capsys):
    study = _Study()
    study.set(0, "complete", 0.5, 3)
    progress = Progress([Objective(metric="acc", direction="maximize")], 3, study.read, study.newest)
    with progress:
        progress.status(study.status())
        study.set(1, epoch=1, value=0.4)
        progress.status(study.status())
        study.set(2, "complete", 0.7, 3)
        study.set(3, "failed", None, 0)
        study.set(4, epoch=2, value=0.1)
        progress.status(study.status())
        study.set(1, "complete", 0.6, 3)
        study.set(4, "complete", 0.8, 3)
        progress.status(study.status())
        progress.status(study.status())
    assert capsys.readouterr().err.splitlines() == [
        "trial 1  epoch 1/3  acc 0.4",
        "trial 2  complete  acc 0.7  3 epochs  best so far",
        r"trial 3  failed  0 epochs  a bug\nof mine",
        "trial 4  epoch 2/3  acc 0.1",
        "trial 1  complete  acc 0.6  3 epochs",
        "trial 4  complete  acc 0.8  3 epochs  best so far",
    ]


def test_the_version_is_the_one_of_setup_cfg(tuner):
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[3] / "setup.cfg")
    ran = tuner("--version")
    assert (ran.code, ran.out) == (0, f"tuner {setup['metadata']['version']}\n")
