"""Studies that are launched over HTTP and worked on by an engine that the operator allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage import tokens
from storage.connecting import connect
from storage.progress import StudyStatus
from tests.tuner.conftest import SPACES
from tuner.client import Client
from tuner.errors import SpecError
from tuner.spec.schema import spec_schema
from tuner.spec.sections import LaunchSettings, RaySettings, SlurmSettings

Serve = Callable[..., str]
SPACE = f"{SPACES}:Fast"


def spec(images: Path, **keys: Any) -> dict[str, Any]:
    data = {"kind": "image_directory", "path": str(images), "image_size": [8, 8], "color_mode": "grayscale"}
    training = {"epochs": 1, "batch_size": 16}
    return {
        "study": "shapes",
        "data": data,
        "space": SPACE,
        "objective": "val_accuracy",
        "trials": 2,
        "pruner": "none",
        "training": training,
    } | keys


@pytest.mark.slow
def test_an_allowed_engine_starts_the_workers(serving: Serve, tmp_path: Path, images: Path) -> None:
    secret = LaunchSettings(slurm=SlurmSettings(account="secret"), ray=RaySettings(runtime_env={"secret": "s"}))
    url = f"sqlite:///{tmp_path}/tuner.db"
    allowed = {"spaces": (SPACE,), "data_roots": (images,), "launchers": ("local",), "engines": secret}
    with Client(serving(url, **allowed)) as client:
        names = {each["name"] for each in client.search_space(spec(images))}
        status = client.create_study(spec(images), on="local", workers=1)
        assert (status.study, status.state) == ("shapes", "running")
        assert client.scale("shapes", 1).engine == "local"
        ended: StudyStatus = client.watch("shapes", lambda status: None)
        assert (ended.state, ended.complete) == ("finished", 2)
        assert {*client.show_trial("shapes", 0).summary.params} <= names != set()
        assert "secret" not in str(client.stored_spec("shapes"))
        (launch,) = client.list_launches("shapes")
        left = threading.Event()
        while not client.list_launches("shapes")[0].ended:
            left.wait(0.1)
        assert [worker.name for worker in launch.workers] == ["w1-0"]


def test_an_engine_is_the_operators_to_allow(serving: Serve, tmp_path: Path, images: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    allowed = {"spaces": (SPACE,), "data_roots": (images,), "launchers": ("local",), "max_workers": 2}
    with Client(serving(url, **allowed)) as client:
        refused: dict[str, Any] = {"on": {"on": "slurm"}, "workers": {"on": "local", "workers": 3}}
        for key, asked in refused.items():
            with pytest.raises(SpecError) as error:
                client.create_study(spec(images), **asked)
            assert [problem.key for problem in error.value.problems] == [key]
        with pytest.raises(SpecError, match="the service allows at most 2 workers, not"):
            client.create_study(spec(images, resources={"workers": 3}), on="local")
        with pytest.raises(SpecError, match="space: the service does not allow this search space"):
            client.search_space(spec(images, space="os:system"))
        with pytest.raises(SpecError, match="only the operator of the service decides this"):
            client.create_study(spec(images, launch={"slurm": {"setup": ["touch /tmp/x"]}}), on="local")
        assert client.list_studies() == []


def test_a_reader_launches_nothing(serving: Serve, tmp_path: Path, images: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    address = serving(url, launchers=("local",))
    database = connect(url)
    headers = {"Authorization": f"Bearer {tokens.create(database, 'reader', 'read')}"}
    database.close()
    with httpx.Client(base_url=address, headers=headers) as http:
        for path, body in (("?on=local", spec(images)), ("/shapes/scale", {"workers": 2})):
            assert http.post(f"/api/v1/studies{path}", json=body).status_code == 403


def test_the_body_of_a_launch_is_described_as_a_spec(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    connect(url, create=True).close()
    document = httpx.get(f"{serving(url)}/openapi.json").json()
    published = spec_schema()
    described = document["components"]["schemas"]
    for path in ("/api/v1/studies", "/api/v1/space"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": "#/components/schemas/SearchSpec"}
    assert _bare(described["SearchSpec"]) == _bare(
        {k: v for k, v in published.items() if k not in ("$defs", "$schema")}
    )
    assert {name: _bare(described[name]) for name in published["$defs"]} == _bare(published["$defs"])


def test_the_api_is_described_in_words_of_its_own(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    connect(url, create=True).close()
    document = httpx.get(f"{serving(url)}/openapi.json").json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert {tag for each in operations for tag in each["tags"]} == {each["name"] for each in document["tags"]}
    parameters = [each for operation in operations for each in operation.get("parameters", [])]
    assert parameters and all("description" in each for each in parameters)
    said = {answer["description"] for each in operations for answer in each["responses"].values()}
    assert not said & {"Successful Response", "Validation Error"}
    for each in operations:
        failures = {status: answer for status, answer in each["responses"].items() if not status.startswith("2")}
        assert failures.keys() >= {"421", "429", "503", "default"}
        schemas = [answer["content"]["application/json"]["schema"] for answer in failures.values()]
        assert all(schema == {"$ref": "#/components/schemas/Failure"} for schema in schemas)


def _bare(schema: Any) -> Any:
    """A schema without titles and nulls, with references as they are within a document of its own."""
    if isinstance(schema, dict):
        kept = {k: v for k, v in schema.items() if v is not None and not (k == "title" and isinstance(v, str))}
        return {name: _bare(each) for name, each in kept.items()}
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    return schema.replace("#/components/schemas/", "#/$defs/") if isinstance(schema, str) else schema


def test_data_that_would_fill_the_disk_is_refused_before_it_is_written(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"not looked at")
    data = {"kind": "image_directory", "path": str(tmp_path / "data"), "image_size": [5000, 5000]}
    spec = {"study": "large", "data": data, "space": "image", "objective": "val_accuracy"}
    with Client(serving(url, data_roots=(tmp_path,), max_prepared_bytes=2**28)) as client:
        for ask in (client.create_study, client.search_space):
            with pytest.raises(SpecError) as refused:
                ask(spec)
            (problem,) = refused.value.problems
            assert problem.key == "data.image_size"
            assert "would take 0.279 GiB or more, and the service allows 0.25 GiB" in problem.message
