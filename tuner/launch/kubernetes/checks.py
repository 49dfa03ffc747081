"""What of a spec cannot work in pods, which share nothing with the machine that writes their manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from storage.local_addresses import why_only_here
from tuner.errors import LaunchError
from tuner.launch.kubernetes.options import PodsWanted, unusable_options
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import Resources


def refuse_unworkable(spec: SearchSpec, wanted: PodsWanted) -> None:
    """Raises LaunchError if the spec or the options cannot work on a cluster; it says every reason."""
    problems = [
        *unusable_options(wanted),
        *_indivisible(spec.resources),
        *_unreachable_storage(spec),
        *_unreachable_places(spec, wanted),
    ]
    if problems:
        raise LaunchError("; ".join(problems))


def code_to_ship(spec: SearchSpec, wanted: PodsWanted) -> list[str]:
    """A line for each file of the user's code that the pods need: whether the image has it cannot be known here."""
    return [
        f"{key}: {place} must be in the image, or on a volume (--volume CLAIM:/path)"
        for key, place in _code_places(spec)
        if not any(volume.holds(place) for volume in wanted.volumes)
    ]


def _indivisible(resources: Resources) -> Iterator[str]:
    gpus = resources.gpus_per_worker
    if gpus is not None and gpus != int(gpus):
        advice = "ask for a whole one, and let resources.trials_per_gpu share it"
        yield f"resources.gpus_per_worker: Kubernetes gives whole GPUs, not {gpus:g} of one; {advice}"


def _unreachable_storage(spec: SearchSpec) -> Iterator[str]:
    if spec.storage is not None and (why := why_only_here(spec.storage)) is not None:
        advice = "Name a PostgreSQL or MariaDB server that every pod can reach, or leave the key out"
        yield f"storage: the database is {why}. {advice}: the Secret holds the URL"


def _unreachable_places(spec: SearchSpec, wanted: PodsWanted) -> Iterator[str]:
    for key, place in _data_places(spec):
        if not any(volume.holds(place) for volume in wanted.volumes):
            advice = "put the data on a volume (--volume CLAIM:/path) and name its path there"
            yield f"{key}: pods do not have {place}; {advice}"
    lasting = "Use s3://BUCKET/PREFIX or a folder on a volume (--volume CLAIM:/path)"
    if spec.artifacts is None:
        yield f"artifacts: files kept inside a pod are lost when it ends. {lasting}"
    elif not spec.artifacts.startswith("s3://"):
        place = Path(spec.artifacts)
        if not any(volume.holds(place) for volume in wanted.volumes):
            yield f"artifacts: {place} is kept inside the pod and is lost when it ends. {lasting}"


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
