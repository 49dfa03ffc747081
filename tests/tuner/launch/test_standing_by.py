"""A worker that stands by runs its launcher's preflight, in a process that ends with either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import within
from tuner.errors import PreflightError
from tuner.launch.local.worker import LocalWorker
from tuner.launch.preflight import preflight
from tuner.launch.working import worker_orders
from tuner.trial.messages import Listed
from tuner.trial.preflight import Request


@pytest.fixture
def worker(make_spec, tmp_path) -> Iterator[LocalWorker]:
    standing = LocalWorker(worker_orders(make_spec(), None, {}, False), "sqlite://", tmp_path / "worker.log")
    yield standing
    standing.kill()


def test_a_preflight_that_dies_is_refused_and_the_worker_runs_the_next(worker, make_spec, cache, tmp_path):
    log = tmp_path / "preflight.log"
    with pytest.raises(PreflightError, match="the preflight process died"):
        preflight(make_spec("Killed"), cache, log, check=False, explore=True, worker=worker)
    # Without a batch, which takes longer and is no other path.
    found = preflight(make_spec("Forgets"), cache, log, check=False, explore=True, worker=worker)
    assert "forgotten" in [each["name"] for each in found.hyperparameters]
    assert Path(found.folder).is_dir()


def launcher_gone(worker: LocalWorker) -> None:
    worker._process.stdin.close()


@pytest.mark.parametrize("gone", [LocalWorker.kill, launcher_gone])
def test_a_preflight_ends_with_its_worker_and_its_launcher(
    worker: LocalWorker, make_spec, cache, tmp_path, gone: Callable[[LocalWorker], None]
):
    says = tmp_path / "says"
    data = preflight(make_spec(), cache, tmp_path / "preflight.log", check=False).folder
    spec = make_spec("Hangs", options={"says": str(says)})
    worker.preflight(Request(spec=spec, cache=cache, log=tmp_path / "preflight.log", data=data))
    within(60, says.exists)
    process = psutil.Process(int(says.read_text()))
    gone(worker)
    assert worker.wait(60)
    process.wait(60)


def test_a_preflight_has_ended_before_its_worker_is_told_anything(make_spec, cache, tmp_path):
    ended = []

    class Standing:
        def preflight(self, request: Request) -> Iterator[bytes]:
            yield Listed(hyperparameters=[], portfolio=[], kind=None).model_dump_json().encode()
            ended.append(request)

    preflight(make_spec(), cache, tmp_path / "preflight.log", check=False, worker=Standing())
    assert len(ended) == 1
