"""Workers on a real Slurm of one node, with a study on PostgreSQL."""

from __future__ import annotations

import subprocess
from functools import partial

import pytest
from sqlalchemy import make_url

from storage import leaderboard, leases, progress
from storage.connecting import connect
from tests.engine_workers import log, states, until_states
from tests.one_node_slurm import one_node_slurm
from tests.waiting import within
from tuner.errors import LaunchError
from tuner.launch.engine import WorkerNeeds, WorkerState, WorkersWanted
from tuner.launch.slurm.engine import SlurmEngine
from tuner.spec.sections import SlurmSettings
from tuner.worker.settings import WorkerSettings

PASSWORD = "not-to-be-shown"
eventually = partial(within, 90.0)
until = partial(until_states, 90.0)
QUEUED, RUNNING, FINISHED, STOPPED = (
    WorkerState.QUEUED,
    WorkerState.RUNNING,
    WorkerState.FINISHED,
    WorkerState.STOPPED,
)


@pytest.fixture
def database(new_postgres_url):
    url = make_url(new_postgres_url)
    # A server that trusts everybody on this machine takes any password.
    url = url if url.password else url.set(password=PASSWORD)
    opened = connect(url.render_as_string(hide_password=False), create=True)
    yield opened
    opened.close()


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


@pytest.fixture
def spec(make_spec, gate):
    """Three trials of three epochs: one is free, the others wait for the gate."""
    return make_spec("Slow", options={"gate": str(gate)}, trials=3, training={"epochs": 3, "batch_size": 16})


@pytest.fixture
def wanted(database, spec, cache, tmp_path):
    """An order for a number of workers with a core and a made-up GPU each."""

    def order(count):
        return WorkersWanted(
            study=spec.study,
            number=1,
            storage=database.engine.url.render_as_string(hide_password=False),
            settings=WorkerSettings(study=spec.study, cache=cache, resources=spec.resources),
            count=count,
            needs=WorkerNeeds(cpus=1, gpus=1.0, memory="1G"),
            folder=tmp_path / "launch",
            artifacts=str(spec.artifacts),
        )

    return order


@pytest.fixture(scope="module")
def slurm():
    with one_node_slurm():
        yield


@pytest.fixture
def engine(slurm):
    return SlurmEngine(SlurmSettings())


@pytest.fixture
def printed(slurm):
    """What a command of Slurm's prints."""
    return lambda *command: subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tasks(handle):
    return [each["task"] for each in handle["tasks"]]


def training(database, study, count):
    """Whether so many trials are under way, each with an epoch done."""
    return lambda: len([t for t in progress.status(database, study).running_trials if t.epoch]) == count


@pytest.mark.slow
def test_tasks_are_scaled_requeued_and_cancelled_and_nothing_is_lost(
    engine, printed, create_study, wanted, spec, database, gate
):
    record = create_study(spec)
    handle = engine.start(wanted(3))
    try:
        # Two made-up GPUs are there.
        until(engine, handle, RUNNING, RUNNING, QUEUED)
        eventually(lambda: engine.workers(handle)[2].said == "Resources")
        handle = engine.scale(handle, wanted(4))
        assert [worker.name for worker in engine.workers(handle)] == ["w1-0", "w1-1", "w1-2", "w1-3"]
        handle = engine.stop(handle, only_queued=True)
        assert states(engine, handle) == [RUNNING, RUNNING, STOPPED, STOPPED]
        eventually(training(database, spec.study, 2))
        for command in (["scontrol", "show", "job"], ["squeue", "--array", "--Format=all"]):
            assert PASSWORD not in printed(*command)
        # As an operator or a job of a higher priority does it, and as the end of the time does.
        first, second, *_ = tasks(handle)
        printed("scontrol", "requeue", first)
        printed("scancel", "--signal=USR1", "--batch", second)
        eventually(lambda: states(engine, handle)[:2] == [QUEUED, QUEUED])
        assert leases.counts(database, record.study_id).held == 0
        eventually(training(database, spec.study, 2))
        handle = engine.scale(handle, wanted(1))
        until(engine, handle, RUNNING, STOPPED, STOPPED, STOPPED)
        assert leases.counts(database, record.study_id).held == 1
        gate.touch()
        until(engine, handle, FINISHED, STOPPED, STOPPED, STOPPED)
    finally:
        engine.stop(handle)
    assert leases.counts(database, record.study_id).closed == spec.trials
    for number in range(spec.trials):
        shown = leaderboard.trial(database, spec.study, number)
        assert (shown.summary.outcome, shown.attempts) == ("complete", 1)
        assert [epoch.epoch for epoch in shown.curve] == [1, 2, 3]
    for worker, task in (("w1-0", first), ("w1-1", second)):
        assert f"task {task} on" in log(engine, handle, worker)
        assert "start 2" in log(engine, handle, worker)


@pytest.mark.fast
def test_a_worker_that_cannot_work_says_why(engine, wanted):
    """There is no study."""
    handle = engine.start(wanted(1))
    until(engine, handle, WorkerState.FAILED)
    (worker,) = engine.workers(handle)
    assert "no study" in worker.said and PASSWORD not in worker.said


def test_this_machine_is_the_only_node(engine):
    assert not engine.spans_machines()


@pytest.mark.fast
@pytest.mark.parametrize(
    ("options", "needs", "words"),
    [
        ({"partition": "gpuu"}, {}, "Invalid partition name specified"),
        ({"time": "tomorrow"}, {}, "Invalid --time specification"),
        ({}, {"gpus": 9.0}, "no node has the cpus, gpus or memory"),
        ({}, {"gpus": 0.5}, "Slurm gives whole GPUs"),
    ],
)
def test_what_slurm_refuses_is_said_in_one_line(slurm, options, needs, words):
    with pytest.raises(LaunchError, match=words) as refused:
        SlurmEngine(SlurmSettings(**options)).check(WorkerNeeds(**needs))
    assert "\n" not in str(refused.value)


def test_what_can_be_given_passes(slurm):
    SlurmEngine(SlurmSettings(partition="short", time="2", extra=("--comment=hello",))).check(WorkerNeeds(1, 2.0, "1G"))


def test_no_slurm_here(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="sbatch is not on this machine"):
        SlurmEngine(SlurmSettings()).check(WorkerNeeds())
