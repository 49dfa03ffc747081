"""Manifests, held against the schemas that Kubernetes publishes; what cannot work there is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import LaunchError
from tuner.launch.kubernetes.checks import code_to_ship
from tuner.launch.kubernetes.manifests import job_manifests, ray_manifests
from tuner.launch.kubernetes.names import DNS_LABEL, dns_name
from tuner.launch.kubernetes.options import PodsWanted, Volume, read_volume
from tuner.launch.kubernetes.writing import as_yaml, secret_command
from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import STUDY_NAME, SearchSpec
from tuner.worker.settings import WorkerSettings

# The oldest in which a Job's pods may be judged one by one, and the newest whose schemas are here.
VERSIONS = ("1.29", kubernetes_validate.latest_version())
MOUNTED = Volume("team-data", PurePosixPath("/data"))
WANTED = PodsWanted(
    workers=3,
    image="registry.example/keras-champion:1-gpu",
    namespace="search",
    secret="tuner-storage",
    volumes=(MOUNTED,),
    env_secrets=("bucket",),
)


def spec_of(**keys: Any) -> SearchSpec:
    raw = {
        "study": "digits",
        "data": {"kind": "image_directory", "path": "/data/digits"},
        "space": "image",
        "objective": "val_accuracy",
        "artifacts": "s3://bucket/prefix",
        "resources": {"cpus_per_worker": 8, "gpus_per_worker": 2.0, "memory_per_worker": "16G"},
    }
    return validate_spec(raw | keys, source="test", base=Path("/home/somebody"))


def hold_to_schema(manifest: dict[str, Any], version: str = VERSIONS[-1]) -> None:
    """Raises if a field is unknown, missing or of another type."""
    kubernetes_validate.validate(manifest, version, strict=True)


def pod_templates(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    spec = cluster["spec"]
    return [spec["headGroupSpec"]["template"], *(group["template"] for group in spec["workerGroupSpecs"])]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "wanted, keys",
    [(WANTED, {}), (PodsWanted(1, "image", "default", "url", volumes=(MOUNTED,)), {"resources": {}})],
)
def test_a_job_is_as_kubernetes_publishes_it(wanted: PodsWanted, keys: dict[str, Any], version: str) -> None:
    config, job = job_manifests(spec_of(**keys), wanted)
    for manifest in (config, job):
        hold_to_schema(manifest, version)
    assert (job["spec"]["completionMode"], job["spec"]["completions"]) == ("Indexed", wanted.workers)


def test_the_schema_refuses_what_kubernetes_would() -> None:
    _, job = job_manifests(spec_of(), WANTED)
    job["spec"]["template"]["spec"]["containers"][0]["gpus"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="gpus"):
        hold_to_schema(job)


def test_a_ray_cluster_has_pods_as_kubernetes_publishes_them() -> None:
    # No package has KubeRay's own schema; what is Kubernetes's in a RayCluster is all but a few fields.
    [cluster] = ray_manifests(spec_of(), WANTED)
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    for template in pod_templates(cluster):
        meta = {"name": cluster["metadata"]["name"]}
        hold_to_schema({"apiVersion": "v1", "kind": "PodTemplate", "metadata": meta, "template": template})
    head, workers = (template["spec"]["containers"][0]["resources"]["limits"] for template in pod_templates(cluster))
    assert "nvidia.com/gpu" not in head
    assert workers == {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "2"}


def test_the_rules_that_no_schema_holds() -> None:
    _, job = job_manifests(spec_of(), WANTED)
    rules = job["spec"]["podFailurePolicy"]["rules"]
    pod = job["spec"]["template"]["spec"]
    # Kubernetes takes a pod failure policy with these only.
    assert pod["restartPolicy"] == "Never"
    assert job["spec"]["backoffLimitPerIndex"] > 0
    assert {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule} == {"worker"}
    volumes = {each["name"] for each in pod["volumes"]}
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes
    requested, limited = (pod["containers"][0]["resources"][kind]["nvidia.com/gpu"] for kind in ("requests", "limits"))
    assert requested == limited == "2"


def test_a_pod_has_longer_than_its_worker_takes_to_leave() -> None:
    _, job = job_manifests(spec_of(), WANTED)
    pod = job["spec"]["template"]["spec"]
    arguments = pod["containers"][0]["args"]
    grace = float(arguments[arguments.index("--grace") + 1])
    settings = WorkerSettings.model_fields["grace_seconds"].default
    assert pod["terminationGracePeriodSeconds"] > grace > settings


def test_pods_answer_prometheus_where_it_is_told_to_look() -> None:
    _, job = job_manifests(spec_of(), replace(WANTED, metrics_port=9464))
    hold_to_schema(job)
    template = job["spec"]["template"]
    [worker] = template["spec"]["containers"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "9464"
    assert worker["ports"] == [{"name": "metrics", "containerPort": 9464}]
    assert worker["args"][-4:] == ["--metrics-port", "9464", "--metrics-host", "0.0.0.0"]


def test_the_config_map_has_the_spec_without_the_database() -> None:
    storage = "postgresql://ann:hunter2@db.example/tuner"
    launch = {"ray": {"runtime_env": {"env_vars": {"TOKEN": "hunter2"}}}}
    manifests = job_manifests(spec_of(storage=storage, launch=launch), WANTED)
    stream = as_yaml(manifests, [secret_command(WANTED)])
    assert "hunter2" not in stream and "db.example" not in stream
    config, job = yaml.safe_load_all(stream)
    assert [config, job] == manifests
    held = yaml.safe_load(config["data"]["spec.yaml"])
    assert validate_spec(held, source="held", base=Path("/")) == spec_of()
    [url] = [
        each for each in job["spec"]["template"]["spec"]["containers"][0]["env"] if each["name"] == "TUNER_STORAGE"
    ]
    assert url["valueFrom"] == {"secretKeyRef": {"name": "tuner-storage", "key": "url"}}


REFUSED = {
    "a SQLite file": (
        {"storage": "sqlite:///tuner.db"},
        "storage: the database is a SQLite file, which is on one",
    ),
    "localhost": (
        {"storage": "postgresql://ann:hunter2@localhost/t"},
        "storage: the database is at localhost, which on every machine means",
    ),
    "loopback": (
        {"storage": "mysql://ann:hunter2@[::1]/t"},
        "storage: the database is at [::1], which on every machine means",
    ),
    "any address": (
        {"storage": "postgresql://ann:hunter2@0.0.0.0/t"},
        "storage: the database is at 0.0.0.0, which on every machine",
    ),
    "below localhost": (
        {"storage": "mysql://ann:hunter2@db.localhost/t"},
        "storage: the database is at db.localhost, which",
    ),
    "a socket": (
        {"storage": "postgresql://ann@/t?host=/run/postgresql"},
        "storage: the database is at a socket of one machine",
    ),
    "data here": ({"data": {"kind": "npz", "path": "digits.npz"}}, "data.path: pods do not have /home/somebody/digits"),
    "no artifacts": ({"artifacts": None}, "artifacts: files kept inside a pod are lost when it ends"),
    "artifacts here": ({"artifacts": "kept"}, "artifacts: /home/somebody/kept is kept inside the pod"),
    "a part of a GPU": ({"resources": {"gpus_per_worker": 0.5}}, "resources.gpus_per_worker: Kubernetes gives whole"),
    # A folder whose name begins as the volume's does is not on it.
    "beside the volume": ({"artifacts": "/database/kept"}, "artifacts: /database/kept is kept inside"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("make", [job_manifests, ray_manifests])
def test_what_pods_cannot_reach_is_refused(make: Any, case: str) -> None:
    keys, said = REFUSED[case]
    with pytest.raises(LaunchError) as refused:
        make(spec_of(**keys), WANTED)
    assert str(refused.value).startswith(said)
    assert "hunter2" not in str(refused.value)


def test_every_reason_is_said_at_once() -> None:
    keys = {"storage": "sqlite:///tuner.db", "artifacts": None, "data": {"kind": "npz", "path": "digits.npz"}}
    with pytest.raises(LaunchError) as refused:
        job_manifests(spec_of(**keys), WANTED)
    assert all(key in str(refused.value) for key in ("storage:", "data.path:", "artifacts:"))


BAD = {
    "namespace": ("Search", "--namespace Search: use at most 63 lower-case"),
    "secret": ("Tuner storage", "'Tuner storage' cannot name a Secret"),
    "env_secrets": (("bucket", "B"), "'B' cannot name a Secret"),
    "image": ("two words", "--image 'two words': use REGISTRY/"),
    "volumes": ((MOUNTED, Volume("other", PurePosixPath("/data"))), "--volume: /data is taken already"),
}


@pytest.mark.parametrize("field", BAD)
def test_what_kubernetes_would_not_take_is_refused(field: str) -> None:
    value, said = BAD[field]
    with pytest.raises(LaunchError) as refused:
        job_manifests(spec_of(), replace(WANTED, **{field: value}))
    assert str(refused.value).startswith(said)


def test_code_outside_the_image_is_warned_of() -> None:
    spec = spec_of(space="my_space.py:Mine", training={"callbacks": ["/data/code/mine.py:Mine", "package.module:Mine"]})
    assert code_to_ship(spec, WANTED) == [
        "space: /home/somebody/my_space.py must be in the image, or on a volume (--volume CLAIM:/path)"
    ]


@pytest.mark.parametrize("text", ["data", "data:", "data:relative", "data:/", "Not A Name:/data", ":/data"])
def test_what_is_no_volume_is_refused(text: str) -> None:
    with pytest.raises(LaunchError, match="CLAIM:/path"):
        read_volume(text)


@given(st.from_regex(STUDY_NAME, fullmatch=True))
def test_every_study_has_a_name_that_kubernetes_takes(study: str) -> None:
    name = dns_name(study)
    assert DNS_LABEL.fullmatch(name)
    # An Indexed Job's pods are named by it and their number.
    assert len(f"{name}-99999-worker") <= 63
    assert yaml.safe_load(json.dumps(name)) == name


def test_studies_that_read_alike_have_different_names() -> None:
    names = ["digits", "Digits", "digits-", "digits.", "digits_", "d" * 40, "d" * 41]
    assert len({dns_name(name) for name in names}) == len(names)
