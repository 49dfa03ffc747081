"""One worker on this machine, watched until it ends, and what Ctrl-C does to it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from storage import progress, studies, workers
from storage.artifacts import StudyArtifacts
from storage.database import Database
from storage.errors import DatabaseUnavailable, StorageError
from storage.progress import OnStatus, StudyStatus
from tuner.launch.launches import LaunchWatch
from tuner.launch.local.worker import LocalWorker
from tuner.launch.opening import Event, OnEvent
from tuner.spec.search_spec import SearchSpec
from tuner.study.open_study import OpenStudy
from tuner.worker.settings import WorkerSettings

LOOK_SECONDS = 0.5


class Watch:
    """Tells ``on_status`` how a study stands."""

    def __init__(self, database: Database, study: str, on_status: OnStatus | None) -> None:
        self._database = database
        self._study = study
        self._on_status = on_status

    def look(self) -> StudyStatus:
        """Raises StorageError, DatabaseUnavailable among them."""
        status = progress.status(self._database, self._study)
        if self._on_status is not None:
            self._on_status(status)
        return status


def work_on(
    study: OpenStudy,
    worker: LocalWorker,
    on_event: OnEvent,
    on_status: OnStatus | None,
) -> StudyStatus:
    """Lets a worker that stands by work until it leaves; a study that does not run is only looked at.

    SIGTERM, which clusters send, makes the worker leave in order; that is no error.

    Raises:
        LaunchError: the worker ended badly.
        KeyboardInterrupt: after the worker has left in an orderly way; a second one ends it at once.
    """
    watch = Watch(study.database, study.name, on_status)
    # What is there already is no news; what the worker does is, from its first trial.
    status = watch.look()
    if study.record.state != "running":
        return status
    worker.begin()
    try:
        with sigterm_calls(worker.stop):
            while not worker.wait(LOOK_SECONDS):
                for line in worker.news():
                    on_event(Event(line))
                # A database that is away for a moment is the worker's worry: it waits and goes on.
                with suppress(DatabaseUnavailable):
                    watch.look()
    except KeyboardInterrupt:
        leave_in_order(worker, on_event)
        with suppress(StorageError):
            _note_interrupted(study, worker.pid)
        raise
    worker.raise_if_failed()
    return watch.look()


def watch_launch(watch: Watch, launch: LaunchWatch, on_event: OnEvent, seconds: float = LOOK_SECONDS) -> StudyStatus:
    """Looks on while an engine's workers work, until the study neither runs nor stops. Ctrl-C ends the looking alone.

    Raises:
        LaunchError: every worker has ended, and nobody works on the study.
    """
    status = watch.look()
    while status.state in ("running", "stopping"):
        time.sleep(seconds)
        with suppress(DatabaseUnavailable):
            status = watch.look()
            for line in launch.news():
                on_event(Event(f"Warning: {line}"))
            launch.raise_if_nobody_works(status)
    launch.settle()
    return watch.look()


@contextmanager
def sigterm_calls(leave: Callable[[], None]) -> Iterator[None]:
    """Has SIGTERM call a function while the block runs."""
    # Only the main thread can hear signals; a program that calls this from another one has handlers of its own.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, lambda number, frame: leave())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def leave_in_order(worker: LocalWorker, on_event: OnEvent) -> None:
    """After an interruption; a second one ends the worker at once."""
    worker.stop()
    try:
        on_event(Event("Interrupted: running trials write their checkpoints. Press Ctrl-C again to end them at once"))
        worker.wait(None)
    except KeyboardInterrupt:
        worker.kill()


def _note_interrupted(study: OpenStudy, pid: int) -> None:
    """A study without a worker does not run; one that others work on goes on."""
    others = [item for item in workers.list_workers(study.database, study.id) if item.live and item.pid != pid]
    if not others:
        studies.set_state(study.database, study.id, "stopped", "interrupted", only_from=("running", "stopping"))


def worker_orders(spec: SearchSpec, slots: int | None, settings: dict[str, Any], drift: bool) -> WorkerSettings:
    """What a worker of a spec is told; ``settings`` are fields of it in place of what follows from the rest."""
    resources = spec.resources if slots is None else spec.resources.model_copy(update={"slots": slots})
    return WorkerSettings(study=spec.study, resources=resources, **{"allow_version_drift": drift} | settings)


@contextmanager
def standing_by(orders: WorkerSettings, url: str, artifacts: StudyArtifacts) -> Iterator[LocalWorker]:
    """A worker that is gone when the block is left, whatever happened."""
    worker = LocalWorker(orders, url, artifacts.launcher_log())
    try:
        yield worker
    finally:
        worker.kill()
