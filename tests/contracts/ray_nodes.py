"""A real Ray cluster of several nodes on this machine, with GPUs that are made up."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest


class RayNodes:
    """A head that runs no workers, and the nodes that are added."""

    def __init__(self, client: bool) -> None:
        from ray.cluster_utils import Cluster

        soon = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
        head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon}
        if client:
            port = _free_port()
            head["ray_client_server_port"] = port
            self.client_address = f"ray://127.0.0.1:{port}"
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self._added = 0

    def add(self, cpus: int = 8, gpus: int = 2, **labels: str) -> Any:
        """One more node."""
        self._added += 1
        return self._cluster.add_node(
            num_cpus=cpus,
            num_gpus=gpus,
            labels=labels or None,
            include_dashboard=False,
            # Nodes of one machine would otherwise delete each other's copies of what was shipped.
            runtime_env_dir_name=f"runtime_resources_{self._added}",
        )

    def kill(self, node: Any) -> None:
        """Ends a node and every process of its workers at once, as when its power fails."""
        raylet = next(each for each in node.all_processes["raylet"])
        for process in psutil.Process(raylet.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        self._cluster.shutdown()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def ray_nodes(client: bool = False) -> Iterator[RayNodes]:
    """A cluster, with a place for clients if that is asked for. Skips the test by name where Ray is not installed."""
    ray = pytest.importorskip("ray", reason="Ray has no wheel for this Python: pip install 'keras-champion[ray]'")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # The head starts a server for each client, which on two busy cores takes longer than its usual 30 s.
        patched.setenv("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "120")
        nodes = RayNodes(client)
        try:
            yield nodes
        finally:
            ray.shutdown()
            nodes.shutdown()
