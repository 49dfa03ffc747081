"""The manifests of a study's workers: an Indexed Job with its spec, or a RayCluster."""

from __future__ import annotations

import yaml

from tuner.launch.kubernetes.checks import refuse_unworkable
from tuner.launch.kubernetes.names import dns_name
from tuner.launch.kubernetes.options import PodsWanted
from tuner.launch.kubernetes.pod_template import (
    LEAVE_CODE,
    SPEC_FILE,
    Manifest,
    labels,
    ray_template,
    worker_template,
)
from tuner.spec.search_spec import SearchSpec

_NO_COMPLETE_TRIAL = 3
_USAGE = 2
_FAILURES_PER_WORKER = 3


def job_manifests(spec: SearchSpec, wanted: PodsWanted) -> list[Manifest]:
    """A ConfigMap with the spec, and the Job of the workers; each creates the study if it is the first.

    Raises:
        LaunchError: the spec or what is wanted cannot work on a cluster; says every reason.
    """
    refuse_unworkable(spec, wanted)
    name = dns_name(spec.study)
    # Where workers run is this manifest's business, and may have secrets in a runtime environment.
    held = {key: value for key, value in spec.stored().items() if key != "launch"}
    written = yaml.safe_dump(held, sort_keys=False, allow_unicode=True)
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(spec, wanted, name, "spec"),
            "data": {SPEC_FILE: written},
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
                "template": worker_template(spec, wanted, name),
            },
        },
    ]


def ray_manifests(spec: SearchSpec, wanted: PodsWanted) -> list[Manifest]:
    """A KubeRay RayCluster with a node for each worker, for ``tuner launch --on ray``. Raises as ``job_manifests``."""
    refuse_unworkable(spec, wanted)
    name = dns_name(spec.study)
    group = {
        "groupName": "workers",
        "replicas": wanted.workers,
        "minReplicas": 0,
        "maxReplicas": wanted.workers,
        "rayStartParams": {},
        "template": ray_template(spec, wanted, "ray-worker", spec.resources),
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
                    "template": ray_template(spec, wanted, "ray-head", None),
                },
                "workerGroupSpecs": [group],
            },
        }
    ]


def _metadata(spec: SearchSpec, wanted: PodsWanted, name: str, component: str) -> Manifest:
    return {
        "name": name,
        "namespace": wanted.namespace,
        "labels": labels(name, component),
        "annotations": {"keras-champion/study": spec.study},
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
