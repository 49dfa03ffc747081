"""The command line as a user meets it: the console script in a folder of its own, or its ``main`` in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from storage.errors import NoDatabase, UnknownStudy
from tuner import api, cli

TUNER = Path(sys.executable).with_name("tuner")
SPACES = Path(__file__).parents[1] / "spaces.py"
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The whole of standard output, so that anything beside JSON is noticed."""
        return json.loads(self.out)

    @property
    def complaints(self) -> list[str]:
        """The lines of standard error of a command that was refused; a traceback is none of them."""
        assert "Traceback" not in self.err, self.err
        return self.err.splitlines()


class Place:
    """A working directory with the real ``tuner`` in it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        self.storage = f"sqlite:///{folder / 'tuner.db'}"
        self.environment = {name: value for name, value in os.environ.items() if name != "TUNER_STORAGE"}
        self.environment |= {"TUNER_CACHE": str(cache), "COLUMNS": "200"}

    def write_spec(self, raw: Mapping[str, Any], name: str = "spec.yaml") -> str:
        (self.folder / name).write_text(yaml.safe_dump(dict(raw), allow_unicode=True), encoding="utf-8")
        return name

    def run(self, *arguments: str) -> Ran:
        """Waits for the console script's end."""
        done = subprocess.run(
            [TUNER, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(
        self, *arguments: str, stderr: Any = subprocess.PIPE, stdin: Any = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        """The console script in a process group of its own, as a shell starts it."""
        process = subprocess.Popen(
            [TUNER, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Ends what a failed test left running; a worker follows its launcher."""
        for process in self._started:
            process.kill()
            process.wait()

    def wait_for_epoch(self, study: str, epoch: int = 1, trial: int | None = None) -> None:
        """Returns once a running trial, or that one, has that epoch in the database."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            # There is no database, then no study, for a while.
            with suppress(NoDatabase, UnknownStudy):
                running = api.study_status(study, storage=self.storage).running_trials
                if any((each.epoch or 0) >= epoch for each in running if trial in (None, each.trial)):
                    return
            time.sleep(0.05)
        raise AssertionError(f"no running trial of {study} reached epoch {epoch}")


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Iterator[Place]:
    made = Place(tmp_path, cache)
    yield made
    made.close()


MakeRaw = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def raw_spec(images: Path) -> MakeRaw:
    """A spec as YAML has it; keyword arguments replace its keys, ``space`` names a class of spaces.py."""

    def make(space: str = "Fast", **keys: Any) -> dict[str, Any]:
        size = {"image_size": [8, 8], "color_mode": "grayscale"}
        return {
            "study": "shapes",
            "data": {"kind": "image_directory", "path": str(images), "validation_split": 0.25, **size},
            "space": f"{SPACES}:{space}" if space.isidentifier() and space != "image" else space,
            "objective": "val_accuracy",
            "trials": 4,
            "pruner": "none",
            "training": {"epochs": 2, "batch_size": 16},
        } | keys

    return make


def launched(folder: Path, cache: Path, raw_spec: MakeRaw) -> tuple[Place, Ran]:
    """A study of four trials, of which two keep their models, and what its launch printed."""
    place = Place(folder, cache)
    raw = raw_spec(keep_checkpoints=2)
    raw["data"]["test_split"] = 0.2
    ran = place.run("launch", place.write_spec(raw))
    assert ran.code == 0, ran.err
    return place, ran


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path, raw_spec: MakeRaw) -> tuple[Place, Ran]:
    """``launched``, for tests that leave it as it is."""
    return launched(tmp_path_factory.mktemp("finished"), cache, raw_spec)


Command = Callable[..., Ran]


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path) -> Command:
    """``tuner("best", "shapes")``: the command line in this process, in a folder of its own or in ``cwd``."""
    monkeypatch.delenv("TUNER_STORAGE", raising=False)
    monkeypatch.setenv("TUNER_CACHE", str(cache))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object, cwd: Path = tmp_path) -> Ran:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["tuner", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        printed = capsys.readouterr()
        return Ran(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run
