"""Workers on a real Ray cluster of several nodes on this machine, with made-up GPUs and a study on PostgreSQL."""

from __future__ import annotations

import shutil
import socket
import time
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import make_url

from storage import launches as stored
from storage import leaderboard, leases, progress
from storage.connecting import connect
from tests.contracts.ray_nodes import ray_nodes
from tests.engine_workers import log, states, until_states
from tests.tuner.conftest import SPACES
from tests.waiting import within
from tuner.errors import LaunchError
from tuner.launch.engine import WorkerNeeds, WorkerState, WorkersWanted
from tuner.launch.engines import engine_of
from tuner.launch.launches import log_of, needs_of
from tuner.launch.ray import cluster
from tuner.launch.ray.records import LaunchRecords
from tuner.spec.sections import LaunchSettings, RaySettings, Resources
from tuner.study.open_study import OpenStudy
from tuner.worker.settings import WorkerSettings

PASSWORD = "not-to-be-shown"
eventually = partial(within, 150.0)
until = partial(until_states, 150.0)
QUEUED, RUNNING, FINISHED, FAILED, STOPPED = (
    WorkerState.QUEUED,
    WorkerState.RUNNING,
    WorkerState.FINISHED,
    WorkerState.FAILED,
    WorkerState.STOPPED,
)


@pytest.fixture(scope="module")
def nodes():
    with ray_nodes(client=True) as started:
        yield started


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
def code(tmp_path, monkeypatch):
    """The folder that the study is launched in, with the search space's code."""
    folder = tmp_path / "code"
    folder.mkdir()
    shutil.copy(SPACES, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def spec(make_spec, gate, code):
    """Three trials of three epochs: one is free, the others wait for the gate."""
    made = make_spec("Slow", options={"gate": str(gate)}, trials=3, training={"epochs": 3, "batch_size": 16})
    space = made.space.model_copy(update={"name": f"{code / SPACES.name}:Slow"})
    return made.model_copy(update={"space": space})


@pytest.fixture
def wanted(database, spec, cache, tmp_path):
    def order(count, gpus=2.0, trials_per_gpu=1):
        return WorkersWanted(
            study=spec.study,
            number=1,
            storage=database.engine.url.render_as_string(hide_password=False),
            settings=WorkerSettings(
                study=spec.study,
                cache=cache,
                resources=spec.resources,
                lease_seconds=3,
                poll_seconds=0.2,
            ),
            count=count,
            needs=WorkerNeeds(cpus=1, gpus=gpus, memory="200M", trials_per_gpu=trials_per_gpu),
            folder=tmp_path / "launch",
            artifacts=str(spec.artifacts),
        )

    return order


def engine_at(address, **settings):
    return engine_of("ray", LaunchSettings(ray=RaySettings(address=address, **settings)))


@pytest.fixture
def nobodys_address():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{nobody.getsockname()[1]}"


@pytest.fixture
def engine(nodes):
    return engine_at(nodes.address)


@pytest.mark.slow
def test_a_dead_nodes_worker_comes_up_elsewhere_and_its_trial_is_adopted(
    engine, nodes, create_study, wanted, spec, database, gate, code
):
    from ray._private import state as ray_state

    record = create_study(spec)
    both = [nodes.add(gpus=2), nodes.add(gpus=2)]
    handle = engine.start(wanted(2))
    # Workers have the copies that were shipped.
    shutil.rmtree(code)
    try:
        eventually(lambda: len([t for t in progress.status(database, spec.study).running_trials if t.epoch]) == 2)
        assert states(engine, handle) == [RUNNING, RUNNING]
        # Both nodes' GPUs are taken.
        handle = engine.scale(handle, wanted(3))
        (waiting,) = engine.workers(handle)[2:]
        assert (waiting.state, waiting.said) == (QUEUED, "no node has room for it yet")
        handle = engine.scale(handle, wanted(2))
        assert states(engine, handle) == [RUNNING, RUNNING, STOPPED]
        known = ray_state.actors()
        assert PASSWORD not in str(known)
        where = {each["Name"]: each["Address"]["NodeID"] for each in known.values()}
        dying = next(node for node in both if node.node_id == where[f"{handle['launch']}/w1-0"])
        nodes.kill(dying)
        eventually(lambda: states(engine, handle)[0] is QUEUED)
        assert "died" in engine.workers(handle)[0].said
        nodes.add(gpus=2)
        eventually(lambda: states(engine, handle)[0] is RUNNING and "start 2" in log(engine, handle, "w1-0"))
        gate.touch()
        until(engine, handle, FINISHED, FINISHED, STOPPED)
    finally:
        engine.stop(handle)
    assert leases.counts(database, record.study_id).closed == spec.trials
    trials = leaderboard.trials(database, spec.study)
    assert [(each.trial, each.outcome) for each in trials] == [(0, "complete"), (1, "complete"), (2, "complete")]
    shown = [leaderboard.trial(database, spec.study, number) for number in range(3)]
    assert sorted(each.attempts for each in shown) == [1, 1, 2]
    assert all([epoch.epoch for epoch in each.curve] == [1, 2, 3] for each in shown)
    assert "start 2 of w1-0" in log(engine, handle, "w1-0")
    assert "GPUs of Ray: 0,1" in log(engine, handle, "w1-1")


@pytest.mark.slow
def test_a_worker_by_way_of_the_client_says_why_it_cannot_work_and_shares_a_gpu(nodes, wanted):
    """There is no study."""
    nodes.add(gpus=1, zone="a")
    engine = engine_at(nodes.client_address, labels={"zone": "a"})
    engine.check(WorkerNeeds(gpus=0.5, trials_per_gpu=2))
    handle = engine.start(wanted(2, gpus=0.5, trials_per_gpu=2))
    until(engine, handle, FAILED, FAILED)
    for worker in engine.workers(handle):
        assert "no study" in worker.said and worker.node == socket.gethostname()
        assert "GPUs of Ray: 0\n" in log(engine, handle, worker.name)


def test_parts_of_a_gpu_need_trials_that_share_it_before_a_study_is_there(engine):
    asked = Resources(gpus_per_worker=0.25, trials_per_gpu=3)
    with pytest.raises(LaunchError, match=r"set resources\.trials_per_gpu to 4"):
        engine.check(needs_of(asked))
    with pytest.raises(LaunchError, match=r"set resources\.trials_per_gpu to 4"):
        engine_at("auto", autoscales=True).check(needs_of(asked))


@pytest.mark.fast
def test_an_actor_that_cannot_start_says_why(engine, nodes, wanted):
    nodes.add(gpus=1)
    # No process can be given such a variable.
    handle = engine.start(replace(wanted(1, gpus=1.0), storage="sqlite:///\0"))
    until(engine, handle, FAILED)
    (worker,) = engine.workers(handle)
    assert worker.said == "its actor could not start: ValueError: embedded null byte"


@pytest.mark.fast
def test_how_a_queued_worker_ended_and_kept_logs_need_no_cluster(
    engine, wanted, spec, create_study, database, nobodys_address
):
    record = create_study(spec)
    handle = engine.start(wanted(1, gpus=9.0))
    assert states(engine, handle) == [QUEUED]
    stopped = {**engine.stop(handle), "address": nobodys_address}
    assert states(engine, stopped) == [STOPPED]
    # A worker that ran and whose cluster went before it could note its end.
    lost = {**handle, "address": nobodys_address, "launch": "ray-lost"}
    LaunchRecords(handle["artifacts"], spec.study, 1, "ray-lost").keep_log("w1-0", 1, b"what it printed\n")
    launch = stored.begin(database, record.study_id, "ray")
    stored.note(database, launch, wanted={"launch": LaunchSettings().model_dump(mode="json")}, handle=lost)
    assert b"".join(log_of(OpenStudy(database, record), "w1-0")) == b"what it printed\n"
    with pytest.raises(LaunchError, match="no Ray cluster at"):
        engine.workers(lost)


@pytest.mark.parametrize(
    ("needs", "labels", "words"),
    [
        ({"gpus": 9.0}, {}, "9 GPUs per worker are requested, but no node of the Ray cluster at .* has more than "),
        ({"cpus": 900}, {}, "900 cores per worker are requested"),
        ({"memory": "900T"}, {}, "900T per worker are requested"),
        ({}, {"zone": "moon"}, "no node of .* has the labels zone=moon"),
    ],
)
def test_what_no_node_has_is_refused_in_one_line(nodes, needs, labels, words):
    with pytest.raises(LaunchError, match=words) as refused:
        engine_at(nodes.address, labels=labels).check(WorkerNeeds(**needs))
    assert "\n" not in str(refused.value)
    engine_at(nodes.address, labels=labels, autoscales=True).check(WorkerNeeds(**needs))


def test_only_nodes_elsewhere_make_the_database_a_worry(nodes):
    assert not engine_at(nodes.address).spans_machines()
    assert engine_at(nodes.address, autoscales=True).spans_machines()


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_no_cluster_at_the_address_is_said_within_seconds(scheme):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{nobody.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(LaunchError, match=f"no Ray cluster at {address}: ") as refused:
            engine_at(address).check(WorkerNeeds())
    assert time.monotonic() - began < 15
    assert "\n" not in str(refused.value)


def test_a_note_of_a_cluster_that_is_gone_is_no_cluster(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setattr(cluster, "read_ray_address", lambda: f"127.0.0.1:{nobody.getsockname()[1]}")
        assert not cluster.join_here()


def test_something_else_at_the_address_is_no_cluster(s3_server):
    address = s3_server.removeprefix("http://")
    with pytest.raises(LaunchError, match="the server there is not Ray"):
        engine_at(address).check(WorkerNeeds())


def test_an_address_without_a_port_is_refused():
    with pytest.raises(LaunchError, match=r"launch\.ray\.address: 'head'"):
        engine_at("head").check(WorkerNeeds())
