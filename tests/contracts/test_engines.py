"""What every engine does with workers: started, watched, read, scaled, killed and stopped, on a real study."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from storage import leaderboard, leases, progress, studies
from storage.connecting import connect
from storage.database import Database
from storage.studies import StudyRecord
from tests.contracts.engine_cases import CASES, Case, kill
from tests.engine_workers import states, until_states
from tests.waiting import within
from tuner.data.cache import prepare
from tuner.errors import LaunchError
from tuner.launch.engine import Engine, Handle, WorkerNeeds, WorkerState, WorkersWanted
from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import SearchSpec
from tuner.worker.settings import WorkerSettings

pytestmark = pytest.mark.slow

SPACE = Path(__file__).with_name("engine_space.py")
eventually = partial(within, 180.0, pause=0.5)
until = partial(until_states, 180.0)
_NAME = re.compile(r"w\d+-\d+")
RUNNING, FINISHED, FAILED, STOPPED = (
    WorkerState.RUNNING,
    WorkerState.FINISHED,
    WorkerState.FAILED,
    WorkerState.STOPPED,
)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Each engine in turn."""
    with CASES[request.param]() as ready:
        yield ready


@pytest.fixture(scope="module")
def shared(postgres_url: str) -> Iterator[Database]:
    """A database that every worker reaches; the studies in it have names of their own."""
    database = connect(postgres_url, create=True)
    yield database
    database.close()


class Study:
    """A study on a few numbers whose trials end when ``open_gate`` is called."""

    def __init__(self, folder: Path, database: Database, url: str, budget: int) -> None:
        self.folder = folder
        self.database = database
        self.url = url
        self.gate = folder / "gate"
        noise = np.random.Generator(np.random.PCG64(0))
        np.savez(folder / "data.npz", x=noise.normal(size=(40, 4)).astype(np.float32), y=np.arange(40) % 2)
        self.spec = self._spec(budget)
        self.record = self._create()

    def _spec(self, budget: int) -> SearchSpec:
        raw = {
            "study": f"engine-{uuid4().hex[:8]}",
            "data": {"kind": "npz", "path": str(self.folder / "data.npz"), "task": "classification"},
            "space": {"name": f"{SPACE}:UntilGate", "gate": str(self.gate)},
            "objective": "val_accuracy",
            "trials": budget,
            "sampler": "random",
            "pruner": "none",
            "training": {"epochs": 1000, "batch_size": 16, "early_stopping": None},
            "resources": {"slots": 1, "gpus_per_trial": 0, "threads_per_slot": 1},
            "artifacts": str(self.folder / "artifacts"),
        }
        return validate_spec(raw, source="test", base=self.folder)

    def _create(self) -> StudyRecord:
        prepared = prepare(self.spec.data, self.folder / "cache")
        return studies.create_study(
            self.database,
            self.spec.study,
            objectives=[each.model_dump() for each in self.spec.objectives],
            spec=self.spec.stored(),
            summary=prepared.describe(),
            fingerprint=prepared.fingerprint,
            artifacts=str(self.spec.artifacts),
            budget=self.spec.trials,
            timeout=None,
            versions={},
            space={"hyperparameters": [], "grid": None},
        )

    def wanted(self, count: int) -> WorkersWanted:
        settings = WorkerSettings(
            study=self.spec.study,
            cache=self.folder / "cache",
            resources=self.spec.resources,
            poll_seconds=0.1,
            lease_seconds=3,
        )
        folder = self.folder / "launch"
        needs, artifacts = WorkerNeeds(cpus=1), str(self.spec.artifacts)
        return WorkersWanted(self.spec.study, 1, self.url, settings, count, needs, folder, artifacts)

    def running(self) -> dict[int, str | None]:
        """The worker of each trial that has trained an epoch and runs now."""
        trials = progress.status(self.database, self.spec.study).running_trials
        return {each.trial: each.worker for each in trials if each.epoch}

    def busy_workers(self, count: int) -> set[str]:
        """The names of the workers that have a trial, once there are as many."""
        eventually(lambda: len(self.running()) == count)
        return {_NAME.match(worker or "")[0] for worker in self.running().values()}  # type: ignore[index]

    def open_gate(self) -> None:
        self.gate.touch()

    def assert_exact(self) -> None:
        trials = leaderboard.trials(self.database, self.spec.study)
        assert [(each.trial, each.outcome) for each in trials] == [
            (number, "complete") for number in range(self.spec.trials)
        ]
        assert leases.counts(self.database, self.record.study_id).all_closed


@pytest.fixture
def new_study(tmp_path: Path, shared: Database, postgres_url: str) -> Callable[[int], Study]:
    return lambda budget: Study(tmp_path, shared, postgres_url, budget)


@pytest.fixture
def launched(case: Case) -> Iterator[Callable[[Study, int], tuple[Engine, Handle]]]:
    """Starts workers, and leaves none behind."""
    started: list[Handle] = []

    def start(study: Study, count: int) -> tuple[Engine, Handle]:
        engine = case.connect()
        started.append(engine.start(study.wanted(count)))
        return engine, started[-1]

    yield start
    for handle in started:
        case.connect().stop(handle)


def ended(engine: Engine, handle: Handle) -> list[WorkerState]:
    eventually(lambda: all(each.ended for each in states(engine, handle)))
    return states(engine, handle)


_READER = """
import json, sys
from tuner.launch.engines import engine_of
from tuner.spec.sections import LaunchSettings
engine = engine_of(sys.argv[1], LaunchSettings.model_validate_json(sys.argv[2]))
handle = json.loads(sys.argv[3])
log = b"".join(engine.log(handle, "w1-0"))
print(json.dumps({"states": [each.state for each in engine.workers(handle)], "log": b"starts" in log}))
"""


def told_elsewhere(case: Case, handle: Handle) -> dict[str, Any]:
    """What a process that shares nothing with this one but the handle finds."""
    arguments = [case.engine, case.settings.model_dump_json(), json.dumps(handle)]
    done = subprocess.run([sys.executable, "-c", _READER, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_workers_share_a_study_go_down_and_up_and_leave_when_it_has_ended(case, new_study, launched):
    study = new_study(4)
    engine, handle = launched(study, 2)
    assert json.loads(json.dumps(handle)) == handle
    assert study.url not in json.dumps(handle)
    assert study.busy_workers(2) == {"w1-0", "w1-1"}
    workers = engine.workers(handle)
    assert [(each.name, each.state) for each in workers] == [("w1-0", RUNNING), ("w1-1", RUNNING)]
    assert all(each.node for each in workers)
    assert b"attempt 1 starts" in b"".join(engine.log(handle, "w1-1"))
    with pytest.raises(LaunchError, match="w1-7"):
        engine.log(handle, "w1-7")
    assert told_elsewhere(case, handle) == {"states": ["running", "running"], "log": True}

    handle = engine.scale(handle, study.wanted(1))
    until(engine, handle, RUNNING, STOPPED)
    assert leases.counts(study.database, study.record.study_id).held == 1
    handle = engine.scale(handle, study.wanted(2))
    assert study.busy_workers(2) == {"w1-0", "w1-2"}
    assert [each.name for each in engine.workers(handle)] == ["w1-0", "w1-1", "w1-2"]
    study.open_gate()
    assert ended(engine, handle) == [FINISHED, STOPPED, FINISHED]
    study.assert_exact()
    # Leaving in order spends no attempt.
    attempts = [leaderboard.trial(study.database, study.spec.study, number).attempts for number in range(4)]
    assert attempts == [1, 1, 1, 1]


def test_of_a_killed_and_a_stopped_worker_another_launch_goes_on(case, new_study, launched):
    if case.restarts:
        pytest.skip(f"{case.engine} starts a dead worker again: its own tests say how")
    study = new_study(2)
    engine, handle = launched(study, 2)
    study.busy_workers(2)
    kill(study.database, study.record.study_id, "w1-0")
    until(engine, handle, FAILED, RUNNING)
    assert engine.workers(handle)[0].said
    engine.stop(handle, only_queued=True)
    assert states(engine, handle) == [FAILED, RUNNING]
    handle = engine.stop(handle)
    assert ended(engine, handle) == [FAILED, STOPPED]
    # The killed worker's lease runs out; the stopped one's was given back.
    eventually(lambda: leases.counts(study.database, study.record.study_id).held == 0)
    assert engine.stop(handle) is not None
    study.open_gate()
    again = launched(study, 1)
    assert ended(*again) == [FINISHED]
    study.assert_exact()
    attempts = [leaderboard.trial(study.database, study.spec.study, number).attempts for number in range(2)]
    assert sorted(attempts) == [1, 2]


def test_a_worker_that_cannot_work_says_why(case, new_study, launched):
    study = new_study(1)
    (study.folder / "data.npz").unlink()
    engine, handle = launched(replace_cache(study), 1)
    assert ended(engine, handle) == [FAILED]
    (worker,) = engine.workers(handle)
    assert "data.npz" in (worker.said or "")
    assert (worker.said or "").count("\n") == 0
    with pytest.raises(LaunchError):
        engine.log(handle, "w9-9")


def replace_cache(study: Study) -> Study:
    """The study on a node that has never seen its data."""
    wanted = study.wanted

    def elsewhere(count: int) -> WorkersWanted:
        order = wanted(count)
        settings = order.settings.model_copy(update={"cache": study.folder / "elsewhere"})
        return replace(order, settings=settings)

    study.wanted = elsewhere  # type: ignore[method-assign]
    return study
