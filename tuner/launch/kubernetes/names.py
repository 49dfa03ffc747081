"""What things are called on Kubernetes, which takes fewer names than a study may have."""

from __future__ import annotations

import hashlib
import re

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
# A name of ours with what an engine appends to it is a host's name, which has at most 63 characters.
_NAME_LENGTH = 32
_RAY_CLIENT_PORT = 10001


def dns_name(study: str) -> str:
    """The study's name as Kubernetes takes names; distinct studies have distinct ones."""
    plain = re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")
    if plain == study and len(plain) <= _NAME_LENGTH:
        return f"tuner-{plain}"
    digest = hashlib.sha256(study.encode()).hexdigest()[:8]
    return f"tuner-{plain[:_NAME_LENGTH].rstrip('-')}-{digest}"


def ray_address(study: str, namespace: str) -> str:
    """Where a study's RayCluster is reached from within the Kubernetes cluster."""
    return f"ray://{dns_name(study)}-head-svc.{namespace}.svc:{_RAY_CLIENT_PORT}"
