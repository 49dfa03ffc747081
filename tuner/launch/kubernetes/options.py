"""What a manifest asks a cluster for, as the options of the command line name it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tuner.errors import LaunchError
from tuner.launch.kubernetes.names import DNS_LABEL, DNS_NAME

SPEC_FOLDER = "/etc/tuner"
CACHE_FOLDER = "/var/cache/tuner"
_OWN_FOLDERS = ("/tmp", "/dev/shm", CACHE_FOLDER, SPEC_FOLDER)


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
    if not DNS_NAME.fullmatch(claim) or not path.startswith("/") or path == "/":
        raise LaunchError(
            f"--volume {text}: write CLAIM:/path, the name of a PersistentVolumeClaim and the path at which to mount it"
        )
    return Volume(claim, PurePosixPath(path))


def unusable_options(wanted: PodsWanted) -> Iterator[str]:
    """What Kubernetes would not take of the options, a line each."""
    if not DNS_LABEL.fullmatch(wanted.namespace):
        yield f"--namespace {wanted.namespace}: use at most 63 lower-case letters, digits and '-'"
    for secret in (wanted.secret, *wanted.env_secrets):
        if not DNS_NAME.fullmatch(secret):
            yield f"{secret!r} cannot name a Secret: use lower-case letters, digits, '-' and '.'"
    if not wanted.image or wanted.image != "".join(wanted.image.split()):
        yield f"--image {wanted.image!r}: use REGISTRY/NAME:TAG"
    mounts = [*(str(volume.path) for volume in wanted.volumes), *_OWN_FOLDERS]
    twice = sorted({path for path in mounts if mounts.count(path) > 1})
    if twice:
        yield f"--volume: {', '.join(twice)} is taken already"
