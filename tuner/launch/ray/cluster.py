"""A Ray cluster: joined within seconds or not at all, started on this machine, what it knows of nodes and actors."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import psutil
import ray
from ray._private import state as ray_state
from ray._private.utils import read_ray_address

from tuner.errors import LaunchError
from tuner.launch.engine import WorkerNeeds
from tuner.worker.node.devices import usable_cores, visible_gpus

NAMESPACE = "keras-champion"
HERE = "auto"
ADDRESS_VARIABLE = "RAY_ADDRESS"
_CLIENT = "ray://"
_ANSWER_SECONDS = 5.0
_START_SECONDS = 120.0


class NoCluster(LaunchError):
    """Nothing answers where a cluster should be."""


@dataclass(frozen=True)
class Room:
    """What a node has, busy or not; memory in bytes."""

    node: str
    cpus: float
    gpus: float
    memory: float
    labels: dict[str, str]


@dataclass(frozen=True)
class Actor:
    """An actor as the cluster's head knows it.

    Attributes:
        state: as Ray names it: PENDING_CREATION, ALIVE, RESTARTING, DEAD and others.
        why: the reason of its death.
    """

    state: str
    node: str | None
    why: str | None


_joined: str | None = None


def join(address: str, runtime_env: dict[str, Any] | None = None) -> None:
    """Connects this process to a cluster; one that it is connected to is used again, unless files are to be shipped.

    Args:
        address: ``HOST:PORT``, ``ray://HOST:PORT``, or ``auto`` for the one on this machine.
        runtime_env: what is shipped to the nodes.

    Raises:
        NoCluster: there is none.
        LaunchError: it is of another version, or the files cannot be shipped.
    """
    global _joined
    address = _found(address)
    if ray.is_initialized():
        # A program that uses this one may have connected itself.
        if _joined is None or (_joined == address and runtime_env is None):
            return
        ray.shutdown()
        _joined = None
    if address != HERE:
        _look(address)
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            runtime_env=runtime_env,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:
        ray.shutdown()
        kind = NoCluster if isinstance(error, ConnectionError) else LaunchError
        raise kind(f"the Ray cluster at {address} cannot be joined: {_line(error)}{_advice(error)}") from None
    _joined = address


def _found(address: str) -> str:
    """The cluster that ``auto`` means. Ray's own note of it may be of one that is gone, which Ray tries for minutes."""
    if address != HERE:
        return address
    return os.environ.get(ADDRESS_VARIABLE) or read_ray_address() or HERE


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _advice(error: BaseException) -> str:
    if "exceeds the maximum" in str(error) or "package size" in str(error).lower():
        return (
            " (launch from the folder of your code alone, or leave things out with launch.ray.runtime_env: {excludes: "
            "[data]})"
        )
    return ""


def _look(address: str) -> None:
    """Ray itself tries for minutes."""
    target = address.removeprefix(_CLIENT)
    host, _, port = target.rpartition(":")
    try:
        if not host or not port.isdecimal():
            raise LaunchError(f"launch.ray.address: {address!r}: use HOST:6379, ray://HOST:10001 or auto")
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
        if os.environ.get("RAY_USE_TLS") not in (None, "", "0"):
            return
        with grpc.insecure_channel(target) as channel:
            grpc.channel_ready_future(channel).result(timeout=_ANSWER_SECONDS)
    except (OSError, grpc.FutureTimeoutError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else "the server there is not Ray"
        raise NoCluster(
            f"no Ray cluster at {address}: {said}. On a node of the cluster, `ray status` tells its address; from "
            "elsewhere it is ray://HEAD:10001 (launch.ray.address)"
        ) from None


def join_here() -> bool:
    """Joins the cluster that this machine is part of; False if it is part of none."""
    try:
        join(HERE)
    except NoCluster:
        return False
    return True


def start_here() -> None:
    """Starts a cluster of this machine alone that outlives this process. It listens at all addresses, as Ray does."""
    options = {
        "port": 0,
        "ray-client-server-port": _free_port(),
        "num-cpus": usable_cores(),
        "num-gpus": len(visible_gpus()),
        "include-dashboard": "false",
    }
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--disable-usage-stats"]
    command += [f"--{name}={value}" for name, value in options.items()]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise LaunchError(f"Ray did not start on this machine within {_START_SECONDS:g} s") from None
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise LaunchError(f"Ray cannot be started on this machine: {lines[-1] if lines else done.returncode}")
    join(HERE)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def address() -> str:
    """Where the cluster is that this process has joined, for other processes."""
    if _joined is not None and _joined.startswith(_CLIENT):
        return _joined
    found: str = ray.get_runtime_context().gcs_address
    return found


def shipped() -> dict[str, Any]:
    """What ``join`` has shipped, as the nodes find it."""
    given = dict(ray.get_runtime_context().runtime_env)
    return {key: given[key] for key in ("working_dir", "py_modules") if given.get(key)}


def hosts() -> dict[str, str]:
    """The live nodes: their hosts by node ID."""
    return {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}


def rooms() -> list[Room]:
    """Resources of the live nodes."""
    return [
        Room(
            node["NodeManagerHostname"],
            node["Resources"].get("CPU", 0),
            node["Resources"].get("GPU", 0),
            node["Resources"].get("memory", 0),
            dict(node.get("Labels") or {}),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def room_here() -> Room:
    """What a cluster of this machine alone would have."""
    return Room(socket.gethostname(), usable_cores(), len(visible_gpus()), psutil.virtual_memory().total, {})


def check_room(rooms: list[Room], needs: WorkerNeeds, labels: dict[str, str], where: str) -> None:
    """Raises LaunchError, with the reason, unless one of the nodes has what a worker needs."""
    # `!a`, `in(a, b)` and `!in(a, b)` are Ray's to understand.
    plain = {key: value for key, value in labels.items() if not value.startswith(("!", "in("))}
    fit = [room for room in rooms if plain.items() <= room.labels.items()]
    if not fit:
        asked = ", ".join(f"{key}={value}" for key, value in plain.items())
        raise LaunchError(f"no node of {where} has the labels {asked} (launch.ray.labels); `ray list nodes` shows them")
    cpus = needs.cpus or 1
    amounts = [
        (needs.gpus or 0, max(room.gpus for room in fit), f"{needs.gpus or 0:g} GPUs", "{:g}"),
        (cpus, max(room.cpus for room in fit), f"{cpus} cores", "{:g}"),
        ((needs.bytes or 0) >> 20, int(max(room.memory for room in fit)) >> 20, f"{needs.memory}", "{}M"),
    ]
    for wanted, most, named, shown in amounts:
        if wanted > most:
            raise LaunchError(
                f"{named} per worker are requested, but no node of {where} has more than {shown.format(most)}"
            )
    together = [room for room in fit if room.gpus >= (needs.gpus or 0) and room.cpus >= cpus]
    if not any(room.memory >= (needs.bytes or 0) for room in together):
        raise LaunchError(f"no single node of {where} has the GPUs, cores and memory that one worker requests")


def actors(prefix: str) -> dict[str, Actor]:
    """The actors whose names begin with the prefix, those that are dead too, by the rest of their names."""
    if _joined is not None and _joined.startswith(_CLIENT):
        look = ray.remote(num_cpus=0)(_actors)
        found: dict[str, Actor] = ray.get(look.remote(prefix), timeout=60)
        return found
    return _actors(prefix)


def _actors(prefix: str) -> dict[str, Actor]:
    here = hosts()
    # Ray's public way to the states of actors asks a dashboard, which not every cluster has.
    told = [each for each in ray_state.actors().values() if each["Name"].startswith(prefix)]
    return {
        each["Name"].removeprefix(prefix): Actor(
            each["State"], here.get(each["Address"]["NodeID"]), _why(each["DeathCause"])
        )
        for each in told
    }


def _why(cause: Any) -> str | None:
    """The words in what Ray has as the cause of a death, on one line."""
    words = next(_messages(cause), None) if cause is not None else None
    return " ".join(words.split()) if words else None


def _messages(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.name == "error_message":
            yield value
        elif field.name == "formatted_exception_string":
            yield f"its actor could not start: {_raised(value)}"
        elif hasattr(value, "ListFields"):
            yield from _messages(value)


def _raised(traceback: str) -> str:
    """The last line of a traceback: the exception itself."""
    return next((line for line in reversed(traceback.splitlines()) if line.strip()), "it gives no reason")
