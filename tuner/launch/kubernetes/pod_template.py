"""The pods of a manifest: their containers, volumes, resources and rights."""

from __future__ import annotations

from typing import Any

from tuner.launch.kubernetes.names import dns_name
from tuner.launch.kubernetes.options import CACHE_FOLDER, SPEC_FOLDER, PodsWanted
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import Resources
from tuner.study.locations import STORAGE_VARIABLE

Manifest = dict[str, Any]

SECRET_KEY = "url"
SPEC_FILE = "spec.yaml"
# As a shell says that SIGTERM ended a process.
LEAVE_CODE = 143
USER = 1000
# Beyond what trial processes may take: to end those that do not leave, to write down what they said, to go.
_GRACE_MARGIN_SECONDS = 30
_SHARED_MEMORY = "2Gi"
_GPU = "nvidia.com/gpu"


def labels(name: str, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "keras-champion",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": component,
    }


def worker_template(spec: SearchSpec, wanted: PodsWanted, name: str) -> Manifest:
    arguments = ["work", spec.study, "--create-from", f"{SPEC_FOLDER}/{SPEC_FILE}"]
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
    container["volumeMounts"].append({"name": "spec", "mountPath": SPEC_FOLDER, "readOnly": True})
    container["securityContext"]["readOnlyRootFilesystem"] = True
    pod = _pod(wanted, container)
    # A pod that has failed is judged by the Job's rules, and replaced on any node; restarting it where it is would
    # hide why it ended.
    pod["restartPolicy"] = "Never"
    pod["automountServiceAccountToken"] = False
    pod["volumes"].append({"name": "spec", "configMap": {"name": name}})
    return {"metadata": {"labels": labels(name, "worker"), **annotations}, "spec": pod}


def ray_template(spec: SearchSpec, wanted: PodsWanted, container: str, needs: Resources | None) -> Manifest:
    name = dns_name(spec.study)
    pod = _pod(wanted, _container(wanted, container, needs))
    return {"metadata": {"labels": labels(name, container)}, "spec": pod}


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
