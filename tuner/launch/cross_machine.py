"""Finds what works on this machine but would fail on another one, before anything starts."""

from __future__ import annotations

from pathlib import Path

import psutil

from storage.local_addresses import why_only_here
from storage.urls import mask_password
from tuner.errors import LaunchError
from tuner.spec.search_spec import SearchSpec

_SHARED = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "gluster",
    "afs",
    "9p",
    "virtiofs",
    "fuse",
    "wekafs",
)


def check_storage(url: str, engine: str) -> None:
    """Refuses a database that only this machine reaches.

    Raises:
        LaunchError: it is a file, or a server at an address that every machine has for itself.
    """
    if (why := why_only_here(url)) is not None:
        raise LaunchError(
            f"storage {mask_password(url)} is {why}; engine {engine} runs workers on other machines: name a server "
            "that all of them reach, --storage postgresql://user@host/database"
        )


def warnings(spec: SearchSpec, artifacts: str) -> list[str]:
    """What workers on other machines may not find: places on a disk of this machine."""
    said = []
    if "://" not in artifacts and (disk := local_disk(Path(artifacts))):
        said.append(
            f"artifacts are in {artifacts}, on a disk of this machine ({disk}): workers elsewhere cannot continue "
            "each other's trials. Use a folder that all machines share, or artifacts: s3://BUCKET/PREFIX"
        )
    for place in _data_places(spec):
        if disk := local_disk(place):
            said.append(f"data is in {place}, on a disk of this machine ({disk}): every node needs it under that path")
    return said


def _data_places(spec: SearchSpec) -> list[Path]:
    if hasattr(spec.data, "places"):
        return list(spec.data.places.values())
    return [spec.data.path] if hasattr(spec.data, "path") else []


def local_disk(place: Path) -> str | None:
    """The kind of file system that a place is on; None if other machines may have it too."""
    mounts = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    found = next((mounts[folder] for folder in [place, *place.parents] if folder in mounts), None)
    return None if found is None or found.startswith(_SHARED) else found
