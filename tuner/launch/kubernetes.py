"""A study's workers on Kubernetes, as data: an Indexed Job, or a Ray cluster that workers are launched on.

Workers share the study's database and nothing else, so that a pod may come and go at any time. What has a password
comes from a Secret and is not in a manifest.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml

from storage.files import publish
from tuner.errors import LaunchError
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import Resources
from tuner.study.locations import STORAGE_VARIABLE

Manifest = dict[str, Any]

SECRET_KEY = "url"
# As a shell says that SIGTERM ended a process.
LEAVE_CODE = 143
_NO_COMPLETE_TRIAL = 3
_USAGE = 2
# Beyond what trial processes may take: to end those that do not leave, to write down what they said, to go.
_GRACE_MARGIN_SECONDS = 30
_FAILURES_PER_WORKER = 3
USER = 1000
_SPEC_FILE = "spec.yaml"
_SPEC_FOLDER = "/etc/tuner"
CACHE_FOLDER = "/var/cache/tuner"
_SHARED_MEMORY = "2Gi"
# A name of ours with what an engine appends to it is a host's name, which has at most 63 characters.
_NAME_LENGTH = 32
_RAY_CLIENT_PORT = 10001
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim and the folder that its files have in every worker."""

    claim: str
    path: PurePosixPath

    def holds(self, place: Path) -> bool:
        return place.is_relative_to(self.path)


@dataclass(frozen=True)
class PodsWanted:
    """What a manifest asks a cluster for.

    Attributes:
        secret: the Secret whose key ``url`` is the database's URL.
        env_secrets: Secrets whose keys become environment variables, such as a bucket's credentials.
        grace_seconds: how long trials may take to leave when a pod must go.
        metrics_port: where every pod answers Prometheus; None for nowhere.
    """

    workers: int
    image: str
    namespace: str
    secret: str
    volumes: tuple[Volume, ...] = ()
    env_secrets: tuple[str, ...] = ()
    grace_seconds: int = 60
    metrics_port: int | None = None


def read_volume(text: str) -> Volume:
    """A volume of ``CLAIM:/path``. Raises LaunchError if it is none."""
    claim, _, path = text.partition(":")
    if not _DNS_NAME.fullmatch(claim) or not path.startswith("/") or path == "/":
        raise LaunchError(f"--volume {text}: CLAIM:/path, a PersistentVolumeClaim and the folder to have it at")
    return Volume(claim, PurePosixPath(path))


def dns_name(study: str) -> str:
    """The study's name as Kubernetes takes names; distinct studies have distinct ones."""
    plain = re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")
    if plain == study and len(plain) <= _NAME_LENGTH:
        return f"tuner-{plain}"
    digest = hashlib.sha256(study.encode()).hexdigest()[:8]
    return f"tuner-{plain[:_NAME_LENGTH].rstrip('-')}-{digest}"


def job_manifests(spec: SearchSpec, wanted: PodsWanted) -> list[Manifest]:
    """A ConfigMap with the spec, and the Job of the workers; each creates the study if it is the first.

    Raises:
        LaunchError: the spec or what is wanted cannot work on a cluster; says every reason.
    """
    _refuse(spec, wanted)
    name = dns_name(spec.study)
    # Where workers run is this manifest's business, and may have secrets in a runtime environment.
    held = {key: value for key, value in spec.stored().items() if key != "launch"}
    written = yaml.safe_dump(held, sort_keys=False, allow_unicode=True)
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(spec, wanted, name, "spec"),
            "data": {_SPEC_FILE: written},
        },
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": _metadata(spec, wanted, name, "worker"),
            "spec": {
                "completionMode": "Indexed",
                "completions": wanted.workers,
                "parallelism": wanted.workers,
                # A worker that cannot work on its node shall not end those that can.
                "backoffLimitPerIndex": _FAILURES_PER_WORKER,
                "podFailurePolicy": {"rules": _failure_rules()},
                "template": _worker_template(spec, wanted, name),
            },
        },
    ]


def ray_manifests(spec: SearchSpec, wanted: PodsWanted) -> list[Manifest]:
    """A KubeRay RayCluster with a node for each worker, for ``tuner launch --on ray``. Raises as ``job_manifests``."""
    _refuse(spec, wanted)
    name = dns_name(spec.study)
    group = {
        "groupName": "workers",
        "replicas": wanted.workers,
        "minReplicas": 0,
        "maxReplicas": wanted.workers,
        "rayStartParams": {},
        "template": _ray_template(spec, wanted, "ray-worker", spec.resources),
    }
    return [
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayCluster",
            "metadata": _metadata(spec, wanted, name, "ray"),
            "spec": {
                "headGroupSpec": {
                    # The head has no resources of Ray's, so that no worker is placed there.
                    "rayStartParams": {"num-cpus": "0", "num-gpus": "0"},
                    "template": _ray_template(spec, wanted, "ray-head", None),
                },
                "workerGroupSpecs": [group],
            },
        }
    ]


def ray_address(study: str, namespace: str) -> str:
    """Where a study's RayCluster is reached from within the Kubernetes cluster."""
    return f"ray://{dns_name(study)}-head-svc.{namespace}.svc:{_RAY_CLIENT_PORT}"


def as_yaml(manifests: Sequence[Manifest], comments: Sequence[str] = ()) -> str:
    """One YAML stream for ``kubectl apply -f -``."""
    lines = "".join(f"# {line}\n" for line in comments)
    return lines + yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=120)


def write(text: str, path: Path) -> None:
    """Writes a manifest, whole or not at all. Raises LaunchError."""
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        publish(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise LaunchError(f"--output {path}: cannot be written: {error.strerror}") from None


def secret_command(wanted: PodsWanted) -> str:
    """What makes the Secret, with words in place of everything secret."""
    return (
        f"kubectl create secret generic {wanted.secret} --namespace {wanted.namespace} "
        f"--from-literal={SECRET_KEY}='postgresql://USER:PASSWORD@HOST/DATABASE'"
    )


def warnings(spec: SearchSpec, wanted: PodsWanted) -> list[str]:
    """What cannot be known here and will be missed there: code that must be in the image."""
    return [
        f"{key}: {place} must be in the image, or on a volume (--volume CLAIM:/path)"
        for key, place in _code_places(spec)
        if not any(volume.holds(place) for volume in wanted.volumes)
    ]


# --- what cannot work


def _refuse(spec: SearchSpec, wanted: PodsWanted) -> None:
    problems = [
        *_bad_names(wanted),
        *_indivisible(spec.resources),
        *_unreachable_storage(spec),
        *_unreachable_places(spec, wanted),
    ]
    if problems:
        raise LaunchError("; ".join(problems))


def _bad_names(wanted: PodsWanted) -> Iterator[str]:
    if not _DNS_LABEL.fullmatch(wanted.namespace):
        yield f"--namespace {wanted.namespace}: lower-case letters, digits and '-', at most 63"
    for secret in (wanted.secret, *wanted.env_secrets):
        if not _DNS_NAME.fullmatch(secret):
            yield f"{secret!r} is no name of a Secret: lower-case letters, digits, '-' and '.'"
    if not wanted.image or wanted.image != "".join(wanted.image.split()):
        yield f"--image {wanted.image!r}: REGISTRY/NAME:TAG"
    mounts = [*(str(volume.path) for volume in wanted.volumes), "/tmp", CACHE_FOLDER, _SPEC_FOLDER, "/dev/shm"]
    twice = sorted({path for path in mounts if mounts.count(path) > 1})
    if twice:
        yield f"--volume: {', '.join(twice)} is taken already"


def _indivisible(resources: Resources) -> Iterator[str]:
    gpus = resources.gpus_per_worker
    if gpus is not None and gpus != int(gpus):
        advice = "ask for a whole one, and let resources.trials_per_gpu share it"
        yield f"resources.gpus_per_worker: Kubernetes gives whole GPUs, not {gpus:g} of one; {advice}"


def _unreachable_storage(spec: SearchSpec) -> Iterator[str]:
    if spec.storage is None:
        return
    advice = "name a PostgreSQL or MariaDB server that every pod reaches, or none: the Secret has the URL"
    if spec.storage.startswith("sqlite"):
        yield f"storage: SQLite is a file for one machine; {advice}"
    elif _is_this_machine(urlsplit(spec.storage).hostname):
        yield f"storage: {urlsplit(spec.storage).hostname or 'no host'} is each pod itself; {advice}"


def _is_this_machine(host: str | None) -> bool:
    if host in (None, "", "localhost"):
        return True
    try:
        return ip_address(str(host)).is_loopback
    except ValueError:
        return False


def _unreachable_places(spec: SearchSpec, wanted: PodsWanted) -> Iterator[str]:
    on_volumes = "(--volume CLAIM:/path, and the places as they are there)"
    for key, place in _data_places(spec):
        if not any(volume.holds(place) for volume in wanted.volumes):
            yield f"{key}: pods do not have {place}; put the data on a volume {on_volumes}"
    if spec.artifacts is None:
        yield f"artifacts: what a pod keeps for itself goes with it; name s3://BUCKET/PREFIX or a folder {on_volumes}"
    elif not spec.artifacts.startswith("s3://"):
        place = Path(spec.artifacts)
        if not any(volume.holds(place) for volume in wanted.volumes):
            yield f"artifacts: {place} would go with its pod; name s3://BUCKET/PREFIX or a folder {on_volumes}"


def _data_places(spec: SearchSpec) -> Iterator[tuple[str, Path]]:
    for name in ("path", "train", "validation", "test"):
        place = getattr(spec.data, name, None)
        if place is not None:
            yield f"data.{name}", place


def _code_places(spec: SearchSpec) -> Iterator[tuple[str, Path]]:
    named = [("space", spec.space.name), *(("training.callbacks", each) for each in spec.training.callbacks)]
    if source := getattr(spec.data, "source", None):
        named.append(("data.source", source))
    for key, code in named:
        place = code.rpartition(":")[0]
        if place.endswith(".py"):
            yield key, Path(place)


# --- what is written


def _metadata(spec: SearchSpec, wanted: PodsWanted, name: str, component: str) -> Manifest:
    return {
        "name": name,
        "namespace": wanted.namespace,
        "labels": _labels(name, component),
        "annotations": {"keras-champion/study": spec.study},
    }


def _labels(name: str, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "keras-champion",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": component,
    }


def _failure_rules() -> list[Manifest]:
    """To lose a node, be evicted or be told to leave is no failure: the trials go on elsewhere, and the worker too."""

    def codes(action: str, code: int) -> Manifest:
        return {"action": action, "onExitCodes": {"containerName": "worker", "operator": "In", "values": [code]}}

    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        codes("Ignore", LEAVE_CODE),
        codes("FailIndex", _NO_COMPLETE_TRIAL),
        codes("FailJob", _USAGE),
    ]


def _worker_template(spec: SearchSpec, wanted: PodsWanted, name: str) -> Manifest:
    arguments = ["work", spec.study, "--create-from", f"{_SPEC_FOLDER}/{_SPEC_FILE}"]
    container = {
        **_container(wanted, "worker", spec.resources),
        "args": [*arguments, "--grace", str(wanted.grace_seconds), "--leave-code", str(LEAVE_CODE)],
    }
    annotations = {}
    if wanted.metrics_port is not None:
        port = str(wanted.metrics_port)
        container["args"] += ["--metrics-port", port, "--metrics-host", "0.0.0.0"]
        container["ports"] = [{"name": "metrics", "containerPort": wanted.metrics_port}]
        annotations = {"annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": port}}
    container["volumeMounts"].append({"name": "spec", "mountPath": _SPEC_FOLDER, "readOnly": True})
    container["securityContext"]["readOnlyRootFilesystem"] = True
    pod = _pod(wanted, container)
    # A pod that has failed is judged by the Job's rules, and replaced on any node; restarting it where it is would
    # hide why it ended.
    pod["restartPolicy"] = "Never"
    pod["automountServiceAccountToken"] = False
    pod["volumes"].append({"name": "spec", "configMap": {"name": name}})
    return {"metadata": {"labels": _labels(name, "worker"), **annotations}, "spec": pod}


def _ray_template(spec: SearchSpec, wanted: PodsWanted, container: str, needs: Resources | None) -> Manifest:
    name = dns_name(spec.study)
    pod = _pod(wanted, _container(wanted, container, needs))
    return {"metadata": {"labels": _labels(name, container)}, "spec": pod}


def _pod(wanted: PodsWanted, container: Manifest) -> Manifest:
    pod: Manifest = {
        "terminationGracePeriodSeconds": wanted.grace_seconds + _GRACE_MARGIN_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "cache", "emptyDir": {}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": _SHARED_MEMORY}},
            *(
                {"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": volume.claim}}
                for number, volume in enumerate(wanted.volumes)
            ),
        ],
    }
    if _GPU in container["resources"].get("limits", {}):
        # Clusters keep pods without GPUs off the nodes that have them by this taint.
        pod["tolerations"] = [{"key": _GPU, "operator": "Exists", "effect": "NoSchedule"}]
    return pod


def _container(wanted: PodsWanted, name: str, needs: Resources | None) -> Manifest:
    url = {"secretKeyRef": {"name": wanted.secret, "key": SECRET_KEY}}
    container: Manifest = {
        "name": name,
        "image": wanted.image,
        "env": [
            {"name": STORAGE_VARIABLE, "valueFrom": url},
            {"name": "TUNER_CACHE", "value": CACHE_FOLDER},
            {"name": "HOME", "value": "/tmp"},
        ],
        "resources": _resources(needs),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "cache", "mountPath": CACHE_FOLDER},
            {"name": "scratch", "mountPath": "/tmp"},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
            *(
                {"name": f"volume-{number}", "mountPath": str(volume.path)}
                for number, volume in enumerate(wanted.volumes)
            ),
        ],
    }
    if wanted.env_secrets:
        container["envFrom"] = [{"secretRef": {"name": secret}} for secret in wanted.env_secrets]
    return container


def _resources(needs: Resources | None) -> Manifest:
    """Of a worker; of Ray's head without ``needs``."""
    if needs is None:
        return {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}
    amounts: dict[str, str] = {}
    if needs.cpus_per_worker:
        amounts["cpu"] = str(needs.cpus_per_worker)
    if needs.memory_per_worker:
        # Its units are powers of two, which Kubernetes writes with an i.
        amounts["memory"] = f"{needs.memory_per_worker}i"
    if needs.gpus_per_worker:
        amounts[_GPU] = str(int(needs.gpus_per_worker))
    return {"requests": amounts, "limits": dict(amounts)} if amounts else {}
