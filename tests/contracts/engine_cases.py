"""Where the contract suite's workers run: a context for each engine, entered once for the module.

An engine joins the suite with a line in ``CASES``. Its context starts what it needs (a cluster), gives a ``Case``, and
takes everything away again. One that cannot be set up on a machine calls ``pytest.skip`` with what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import psutil

from storage.database import Database
from storage.workers import list_workers
from tests.contracts.ray_nodes import ray_nodes
from tests.one_node_slurm import one_node_slurm
from tuner.launch.engine import Engine
from tuner.launch.engines import engine_of
from tuner.spec.sections import LaunchSettings, RaySettings


@dataclass(frozen=True)
class Case:
    """An engine to be tried.

    Attributes:
        settings: the spec's ``launch`` section that leads to it.
        restarts: it starts a worker again that died.
    """

    engine: str
    settings: LaunchSettings
    restarts: bool = False

    def connect(self) -> Engine:
        """The engine as another process would have it: nothing is shared with what was given before."""
        return engine_of(self.engine, self.settings)


def kill(database: Database, study_id: int, name: str) -> None:
    """Ends a worker's process at once, as a node's death does. All workers of the suite are on this machine."""
    found = [each for each in list_workers(database, study_id) if each.id.startswith(f"{name}-") and each.live]
    psutil.Process(found[-1].pid).kill()


@contextmanager
def local() -> Iterator[Case]:
    yield Case("local", LaunchSettings())


@contextmanager
def slurm() -> Iterator[Case]:
    with one_node_slurm():
        yield Case("slurm", LaunchSettings())


@contextmanager
def ray() -> Iterator[Case]:
    with ray_nodes() as nodes:
        nodes.add()
        yield Case("ray", LaunchSettings(ray=RaySettings(address=nodes.address)))


CASES: dict[str, Callable[[], AbstractContextManager[Case]]] = {"local": local, "ray": ray, "slurm": slurm}
