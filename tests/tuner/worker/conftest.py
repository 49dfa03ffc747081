from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database
from tests.waiting import within
from tuner.launch.local.worker import LocalWorker
from tuner.spec.search_spec import SearchSpec
from tuner.worker.settings import WorkerSettings


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """The first true answer of a question to another process; only its state can be asked for."""
    return partial(within, 60.0, pause=0.02)


StartWorker = Callable[..., LocalWorker]


@pytest.fixture
def start_worker(database: Database, cache: Path, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts a worker as a process of its own, as launching does."""
    started: list[LocalWorker] = []

    def start(spec: SearchSpec, url: str | None = None, **settings: Any) -> LocalWorker:
        orders = WorkerSettings(study=spec.study, cache=cache, resources=spec.resources, poll_seconds=0.05, **settings)
        url = url or database.engine.url.render_as_string(hide_password=False)
        started.append(LocalWorker(orders, url, tmp_path / f"worker-{len(started)}.log"))
        started[-1].begin()
        return started[-1]

    yield start
    for worker in started:
        worker.kill()
        # Shown with a test that fails.
        print(worker.log.name, worker.log.read_text(errors="replace"), sep="\n")
