"""Workers as detached actors of a Ray cluster, one worker an actor.

Ray places them, and brings those of a node that died up again elsewhere; what an actor does is in ``ray_worker.py``.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import ray
from ray.exceptions import GetTimeoutError, RayError

from storage.errors import StorageError
from tuner.errors import LaunchError
from tuner.launch.engine import EngineWorker, Handle, WorkerNeeds, WorkerState, WorkersWanted
from tuner.launch.ray import cluster
from tuner.launch.ray.records import LaunchRecords
from tuner.launch.ray.worker import RayWorker
from tuner.spec.sections import RaySettings
from tuner.worker.settings import WorkerSettings

_ANSWER_SECONDS = 30.0
# Of a folder of code, what nodes have no use for.
_NOT_SHIPPED = (
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    ".*_cache",
    "node_modules",
    "tuner-artifacts",
    "*.db",
    "*.keras",
)


class RayEngine:
    """``tuner launch --on ray``. A handle has the cluster's address, what was shipped to it, and the workers' names."""

    name: ClassVar[str] = "ray"

    def __init__(self, options: RaySettings) -> None:
        self._options = options

    def _join(self) -> bool:
        """Whether there is a cluster to join; raises LaunchError if there should be one."""
        given = self._options.address or os.environ.get(cluster.ADDRESS_VARIABLE)
        if given is None:
            return cluster.join_here()
        cluster.join(given)
        return True

    def check(self, needs: WorkerNeeds) -> None:
        _trials_on_its_part(needs)
        joined = self._join()
        if self._options.autoscales:
            return
        rooms = cluster.rooms() if joined else [cluster.room_here()]
        where = f"the Ray cluster at {cluster.address()}" if joined else "this machine"
        cluster.check_room(rooms, needs, self._options.labels, where)

    def spans_machines(self) -> bool:
        """Unless every node is this machine."""
        if self._options.autoscales:
            return True
        return self._join() and set(cluster.hosts().values()) != {socket.gethostname()}

    def start(self, wanted: WorkersWanted) -> Handle:
        if not self._join():
            cluster.start_here()
        found = cluster.address()
        folder = self._shipped_folder()
        given = self._options.runtime_env
        excludes = [*_NOT_SHIPPED, *given.get("excludes", ()), *_inside(folder, wanted.artifacts)]
        at = self._options.address or os.environ.get(cluster.ADDRESS_VARIABLE) or cluster.HERE
        cluster.join(at, {"working_dir": folder, **given, "excludes": excludes})
        handle = {
            "address": found,
            "launch": f"ray-{uuid4().hex[:8]}",
            "study": wanted.study,
            "number": wanted.number,
            "artifacts": wanted.artifacts,
            "shipped": cluster.shipped(),
            "shipped_from": folder,
            "workers": [],
        }
        return self._with_more(handle, wanted, range(wanted.count))

    def _shipped_folder(self) -> str:
        return str(self._options.runtime_env.get("working_dir") or Path.cwd())

    def _with_more(self, handle: Handle, wanted: WorkersWanted, indices: range) -> Handle:
        names = [wanted.worker_name(index) for index in indices]
        made: list[Any] = []
        try:
            for index, name in zip(indices, names, strict=True):
                made.append(self._made(handle, wanted, index, name))
        except (RayError, ValueError, RuntimeError) as error:
            for actor in made:
                ray.kill(actor)
            raise LaunchError(f"Ray refuses such a worker: {' '.join(str(error).split())}") from None
        return {**handle, "workers": [*handle["workers"], *({"name": name, "told": False} for name in names)]}

    def _made(self, handle: Handle, wanted: WorkersWanted, index: int, name: str) -> Any:
        needs, options = wanted.needs, self._options
        given = {key: value for key, value in options.runtime_env.items() if key not in ("working_dir", "excludes")}
        asked: dict[str, Any] = {
            "name": _actor_name(handle, name),
            "namespace": cluster.NAMESPACE,
            "lifetime": "detached",
            "max_restarts": options.max_restarts,
            "num_cpus": needs.cpus or 1,
            "num_gpus": needs.gpus or 0,
            "memory": needs.bytes,
            "label_selector": options.labels or None,
            "runtime_env": {**given, **handle["shipped"]},
        }
        changed = _share(wanted.settings, needs)
        environment = wanted.environment(index, follow_stdin=True, **changed)
        # Arguments alone are not in `ray list actors`, in the dashboard or in logs.
        actor = ray.remote(RayWorker).options(**{key: value for key, value in asked.items() if value is not None})
        return actor.remote(name, environment, _records(handle), handle["shipped_from"])

    def workers(self, handle: Handle) -> list[EngineWorker]:
        names = [each["name"] for each in handle["workers"]]
        ended = _endings(handle, names)
        if len(ended) == len(names):
            return [ended[name] for name in names]
        actors = _actors(handle)
        # Some have ended since the first look.
        ended = _endings(handle, names)
        return [ended.get(each["name"]) or self._seen(each, actors) for each in handle["workers"]]

    def _seen(self, worker: dict[str, Any], actors: dict[str, cluster.Actor]) -> EngineWorker:
        name, actor = worker["name"], actors.get(worker["name"])
        if actor is None or actor.state == "DEAD":
            if worker["told"]:
                return EngineWorker(name, WorkerState.STOPPED)
            return EngineWorker(name, WorkerState.FAILED, None, _why(actor))
        if actor.state == "ALIVE":
            return EngineWorker(name, WorkerState.RUNNING, actor.node)
        said = "its node or actor died" if actor.state == "RESTARTING" else "no node has room for it yet"
        return EngineWorker(name, WorkerState.QUEUED, None, said)

    def scale(self, handle: Handle, wanted: WorkersWanted) -> Handle:
        told = {each["name"] for each in handle["workers"] if each["told"]}
        alive = [each for each in self.workers(handle) if not each.state.ended and each.name not in told]
        if (more := wanted.count - len(alive)) > 0:
            _join(handle)
            first = len(handle["workers"])
            return self._with_more(handle, wanted, range(first, first + more))
        # The running ones first, as sorting keeps the order of those that are alike: the last are dispensable.
        alive.sort(key=lambda each: each.state is WorkerState.QUEUED)
        return _told(handle, alive[wanted.count :])

    def stop(self, handle: Handle, *, only_queued: bool = False) -> Handle:
        alive = [each for each in self.workers(handle) if not each.state.ended]
        return _told(handle, [each for each in alive if each.state is WorkerState.QUEUED or not only_queued])

    def log(self, handle: Handle, worker: str) -> Iterator[bytes]:
        names = [each["name"] for each in handle["workers"]]
        if worker not in names:
            raise LaunchError(f"no worker {worker} in this launch; it has {', '.join(names)}")
        records = _records(handle)
        live = None
        try:
            if records.ending(worker) is None:
                live = _live_log(handle, worker)
        except LaunchError:
            # The cluster is gone.
            if not records.starts(worker):
                raise
        except StorageError as error:
            raise LaunchError(str(error)) from None
        try:
            kept = {start: records.log(worker, start) for start in records.starts(worker)}
        except StorageError as error:
            raise LaunchError(str(error)) from None
        if live is not None:
            kept[live[0]] = live[1]
        if not kept:
            raise LaunchError(
                f"no log of {worker} can be read here; one is kept once it runs, in {handle['artifacts']}"
            )
        return iter([kept[start] for start in sorted(kept)])


def _share(settings: WorkerSettings, needs: WorkerNeeds) -> dict[str, Any]:
    """What of its node's cores and GPUs a worker uses: what Ray gave it, and of a shared GPU its part of the trials."""
    changed: dict[str, Any] = {"cores": needs.cpus or 1}
    if (trials := _trials_on_its_part(needs)) is not None:
        resources = settings.resources
        if resources.slots == "auto":
            changed["resources"] = resources.model_copy(update={"slots": trials})
        changed["share_gpus"] = True
    return changed


def _trials_on_its_part(needs: WorkerNeeds) -> int | None:
    """How many trials a worker runs on its part of a GPU; None if it shares none."""
    if not needs.gpus or needs.gpus >= 1:
        return None
    if trials := int(needs.trials_per_gpu * needs.gpus + 1e-9):
        return trials
    raise LaunchError(
        f"resources.gpus_per_worker {needs.gpus:g} puts several workers on a GPU, and trials_per_gpu "
        f"{needs.trials_per_gpu} allows fewer trials there: set resources.trials_per_gpu to {-int(-1 // needs.gpus)}"
    )


def _why(actor: cluster.Actor | None) -> str:
    """Why a worker is gone that noted no ending."""
    if actor is None:
        return "its Ray cluster no longer knows it"
    return actor.why or "its actor died, and Ray does not say why"


def _inside(folder: str, place: str) -> list[str]:
    """The pattern that leaves the artifacts out, if they are in the folder that is shipped."""
    if "://" in place or "://" in folder or not Path(place).is_relative_to(Path(folder).absolute()):
        return []
    return [f"/{Path(place).relative_to(Path(folder).absolute())}/"]


def _actor_name(handle: Handle, worker: str) -> str:
    return f"{handle['launch']}/{worker}"


def _records(handle: Handle) -> LaunchRecords:
    return LaunchRecords(handle["artifacts"], handle["study"], handle["number"], handle["launch"])


def _endings(handle: Handle, names: list[str]) -> dict[str, EngineWorker]:
    try:
        return _records(handle).endings(names)
    except StorageError as error:
        raise LaunchError(str(error)) from None


def _join(handle: Handle) -> None:
    """Joins the launch's cluster where it was launched, or from a machine that reaches it in another way."""
    try:
        cluster.join(handle["address"])
    except LaunchError:
        other = os.environ.get(cluster.ADDRESS_VARIABLE)
        if other is None or other == handle["address"]:
            raise
        cluster.join(other)


def _actors(handle: Handle) -> dict[str, cluster.Actor]:
    _join(handle)
    try:
        return cluster.actors(_actor_name(handle, ""))
    except (RayError, RuntimeError, ConnectionError) as error:
        raise LaunchError(
            f"the Ray cluster at {handle['address']} does not answer: {' '.join(str(error).split())}"
        ) from None


def _told(handle: Handle, workers: list[EngineWorker]) -> Handle:
    """Has those that run leave in order, and takes away those that wait. Ones that end meanwhile are no error."""
    heard = []
    for worker in workers:
        try:
            actor = ray.get_actor(_actor_name(handle, worker.name), namespace=cluster.NAMESPACE)
        except ValueError:
            continue
        if worker.state is WorkerState.QUEUED:
            ray.kill(actor)
            _note_taken_away(handle, worker.name)
        else:
            heard.append(actor.leave.remote())
    if heard:
        ray.wait(heard, num_returns=len(heard), timeout=_ANSWER_SECONDS)
    names = {worker.name for worker in workers}
    return {
        **handle,
        "workers": [{**each, "told": each["told"] or each["name"] in names} for each in handle["workers"]],
    }


def _note_taken_away(handle: Handle, worker: str) -> None:
    """Notes the ending of a worker that has no process to note it; the cluster forgets it."""
    with suppress(StorageError, OSError):
        _records(handle).note_ending(EngineWorker(worker, WorkerState.STOPPED))


def _live_log(handle: Handle, worker: str) -> tuple[int, bytes] | None:
    """What a worker that runs has printed since its last start; None if it does not run."""
    actor = _actors(handle).get(worker)
    if actor is None or actor.state != "ALIVE":
        return None
    try:
        found = ray.get_actor(_actor_name(handle, worker), namespace=cluster.NAMESPACE)
        printed: tuple[int, bytes] = ray.get(found.log.remote(), timeout=_ANSWER_SECONDS)
    except (RayError, GetTimeoutError, ValueError):
        return None
    return printed
