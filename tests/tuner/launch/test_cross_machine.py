from __future__ import annotations

from pathlib import Path

import pytest

from tuner import api
from tuner.errors import LaunchError
from tuner.launch import cross_machine, engines
from tuner.launch.engine import WorkerNeeds
from tuner.launch.engines import engine_of
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import LaunchSettings


@pytest.mark.parametrize(
    "url, why",
    [
        ("sqlite:////data/tuner.db", "is a SQLite file, which is on one machine"),
        (
            "postgresql://ann:secret@localhost/tuner",
            "is at localhost, which on every machine means that machine itself",
        ),
        ("postgresql://ann:secret@LOCALHOST./tuner", "which on every machine means that machine itself"),
        ("postgresql://ann:secret@127.0.0.1:5432/tuner", "is at 127.0.0.1"),
        ("mysql://ann:secret@127.8.9.1/tuner", "is at 127.8.9.1"),
        ("postgresql://ann:secret@[::1]/tuner", "is at [::1]"),
        ("postgresql://ann:secret@0.0.0.0/tuner", "is at 0.0.0.0"),
        ("postgresql:///tuner", "is at a socket of one machine"),
        ("postgresql://ann@/tuner?host=/run/postgresql", "is at a socket of one machine"),
    ],
)
def test_a_database_that_only_this_machine_reaches_is_refused(url: str, why: str) -> None:
    with pytest.raises(LaunchError) as refused:
        cross_machine.check_storage(url, "ray")
    said = str(refused.value)
    assert why in said and "--storage postgresql://" in said and "engine ray" in said
    assert "secret" not in said and "\n" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:secret@db.example.org/tuner",
        "mysql://ann@10.0.0.7/tuner",
        "postgresql://ann@/tuner?host=db.example.org",
    ],
)
def test_a_server_with_an_address_of_its_own_is_not(url: str) -> None:
    cross_machine.check_storage(url, "ray")


def test_the_check_comes_before_anything_is_made(make_spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = engine_of("local", LaunchSettings())
    monkeypatch.setattr(type(local), "spans_machines", lambda self: True)
    with pytest.raises(LaunchError, match="is a SQLite file"):
        api.launch(make_spec(), storage=f"sqlite:///{tmp_path}/new.db", on="local")
    assert not (tmp_path / "new.db").exists()


def test_places_on_a_disk_of_this_machine_are_warned_of(
    make_spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec: SearchSpec = make_spec()
    kinds = {"/": "ext4"}
    partition = type("Partition", (), {})

    def mounted(all: bool) -> list[object]:
        made = []
        for mountpoint, fstype in kinds.items():
            made.append(partition())
            made[-1].mountpoint, made[-1].fstype = mountpoint, fstype
        return made

    monkeypatch.setattr(cross_machine.psutil, "disk_partitions", mounted)
    artifacts, data = cross_machine.warnings(spec, str(tmp_path))
    assert f"artifacts are in {tmp_path}, on a disk of this machine (ext4)" in artifacts
    assert f"data is in {spec.data.path}, on a disk" in data
    (data,) = cross_machine.warnings(spec, "s3://bucket/studies")
    kinds[str(tmp_path.parent)] = "nfs4"
    assert len(cross_machine.warnings(spec, str(tmp_path))) == (
        0 if spec.data.path.is_relative_to(tmp_path.parent) else 1
    )
    kinds["/"] = "lustre"
    assert cross_machine.warnings(spec, str(tmp_path)) == []


def test_an_engine_that_is_not_there_or_lacks_its_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LaunchError, match="there is no engine 'pbs'; use one of local"):
        engine_of("pbs", LaunchSettings())
    entry = ("tuner.launch.nowhere", "Nowhere", "a_library_of_nobody", "nowhere")
    monkeypatch.setitem(engines._ENGINES, "nowhere", entry)
    with pytest.raises(LaunchError, match=r"pip install 'keras-champion\[nowhere\]'"):
        engine_of("nowhere", LaunchSettings())


@pytest.mark.parametrize(
    "needs, why",
    [
        (WorkerNeeds(gpus=64), "64 GPUs per worker are requested, but this machine has"),
        (WorkerNeeds(cpus=4096), "4096 cores per worker are requested, but this machine has"),
        (WorkerNeeds(memory="900T"), "900T per worker are requested, but this machine has"),
    ],
)
def test_more_than_this_machine_has_is_refused(needs: WorkerNeeds, why: str) -> None:
    with pytest.raises(LaunchError, match=why):
        engine_of("local", LaunchSettings()).check(needs)
