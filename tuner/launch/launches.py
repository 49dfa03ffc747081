"""A study's launches: workers that an engine runs, started, watched, scaled and stopped from any process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from storage import launches, studies
from storage.database import Database
from storage.errors import DatabaseUnavailable
from storage.launches import Launch
from storage.progress import StudyStatus
from tuner.errors import LaunchError
from tuner.launch.cross_machine import check_storage
from tuner.launch.engine import Engine, EngineWorker, Handle, WorkerNeeds, WorkerState, WorkersWanted
from tuner.launch.engines import engine_of
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import LaunchSettings, Resources
from tuner.study.open_study import OpenStudy
from tuner.worker.settings import WorkerSettings

# Asking a cluster costs it more than asking the database.
LOOK_SECONDS = 3.0
# For workers that leave because their study has ended.
_LEAVE_SECONDS = 30.0


@dataclass(frozen=True)
class LaunchView:
    """One launch of a study on an engine, as the engine reports it now.

    Attributes:
        number: number of the launch within its study.
        engine: name of the engine: ``local``, ``ray`` or ``slurm``.
        started_at: when the launch was started, UTC.
        stopped_at: when the launch was stopped, UTC; None if it was not stopped.
        workers: workers of the launch in the order of their start; empty if the engine cannot report them.
        problem: why the engine cannot report the workers; None if it can.
    """

    number: int
    engine: str
    started_at: datetime
    stopped_at: datetime | None
    workers: list[EngineWorker]
    problem: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Workers by state, of the states that there are."""
        found = {state: sum(worker.state is state for worker in self.workers) for state in WorkerState}
        return {str(state): count for state, count in found.items() if count}

    @property
    def ended(self) -> bool:
        return self.problem is None and all(worker.state.ended for worker in self.workers)


def needs_of(resources: Resources) -> WorkerNeeds:
    return WorkerNeeds(
        cpus=resources.cpus_per_worker,
        gpus=resources.gpus_per_worker,
        memory=resources.memory_per_worker,
        trials_per_gpu=resources.trials_per_gpu,
    )


def check_counts(engine: Engine, workers: int, settings: WorkerSettings) -> None:
    """Raises LaunchError where workers of one machine would write their counts to the same file."""
    if settings.metrics_file is not None and workers > 1 and not engine.spans_machines():
        raise LaunchError(
            f"--metrics-file {settings.metrics_file} is for one worker, and {workers} would run on this machine: "
            "use --metrics-port, which gives each worker a port that its log names"
        )


def begin(study: OpenStudy, engine: Engine, spec: SearchSpec, url: str, settings: WorkerSettings) -> Launch:
    """Has the engine start ``spec.resources.workers`` workers, and keeps what finds them again.

    Raises:
        LaunchError: the engine refused; nothing is kept.
    """
    settle(study)
    database = study.database
    launch = launches.begin(database, study.id, engine.name)
    settings = settings.model_copy(update={"cores": spec.resources.cpus_per_worker})
    wanted = WorkersWanted(
        study=study.name,
        number=launch.number,
        storage=url,
        settings=settings,
        count=spec.resources.workers,
        needs=needs_of(spec.resources),
        folder=study.artifacts.launch_folder(launch.number),
        artifacts=study.record.artifacts,
    )
    try:
        handle = engine.start(wanted)
    except BaseException:
        launches.forget(database, launch)
        raise
    launches.note(database, launch, wanted=_as_json(wanted, spec.launch), handle=handle)
    return _again(database, launch)


def _as_json(wanted: WorkersWanted, settings: LaunchSettings) -> dict[str, Any]:
    return {
        "count": wanted.count,
        "needs": asdict(wanted.needs),
        "settings": wanted.settings.model_dump(mode="json", exclude_unset=True),
        "folder": str(wanted.folder),
        "launch": settings.model_dump(mode="json"),
    }


def _wanted(study: OpenStudy, launch: Launch, url: str, count: int) -> WorkersWanted:
    kept = launch.wanted
    return WorkersWanted(
        study=study.name,
        number=launch.number,
        storage=url,
        settings=WorkerSettings.model_validate(kept["settings"]),
        count=count,
        needs=WorkerNeeds(**kept["needs"]),
        folder=Path(kept["folder"]),
        artifacts=study.record.artifacts,
    )


def _settings(launch: Launch) -> LaunchSettings:
    return LaunchSettings.model_validate(launch.wanted["launch"])


def _engine(launch: Launch) -> tuple[Engine, Handle]:
    if launch.handle is None:
        raise LaunchError("it was interrupted while its engine started it")
    return engine_of(launch.engine, _settings(launch)), launch.handle


def _again(database: Database, launch: Launch) -> Launch:
    return next(each for each in launches.list_launches(database, launch.study_id) if each.id == launch.id)


def look(launch: Launch, engine: Engine | None = None) -> LaunchView:
    """How a launch stands; an engine that cannot be reached is told of, and is no error."""
    workers: list[EngineWorker] = []
    problem = None
    try:
        found, handle = _engine(launch)
        workers = (engine or found).workers(handle)
    except LaunchError as error:
        problem = str(error)
    return LaunchView(launch.number, launch.engine, launch.started_at, launch.stopped_at, workers, problem)


def look_at_all(study: OpenStudy) -> list[LaunchView]:
    """The launches that nobody stopped and the newest one."""
    every = launches.list_launches(study.database, study.id)
    return [look(launch) for launch in every if launch.stopped_at is None or launch is every[-1]]


def settle(study: OpenStudy) -> None:
    """Notes of launches whose workers have all left that they are over."""
    for launch in launches.list_launches(study.database, study.id):
        if launch.stopped_at is None and look(launch).ended:
            launches.stopped(study.database, launch)


def scale(study: OpenStudy, url: str, count: int) -> LaunchView:
    """Brings the workers of the newest launch to ``count``.

    Raises:
        LaunchError: the study does not run, no engine works on it, or the engine cannot be reached.
    """
    database, state = study.database, study.record.state
    if state != "running":
        raise LaunchError(f"study {study.name} is {state}: resume it first (`tuner launch` continues it)")
    going = [each for each in launches.list_launches(database, study.id) if each.stopped_at is None]
    if not going:
        raise LaunchError(
            f"no engine runs workers of study {study.name}: launch it on one "
            f"(`tuner launch SPEC.yaml --on ENGINE --workers {count}`)"
        )
    launch = going[-1]
    engine, handle = _engine(launch)
    if engine.spans_machines():
        check_storage(url, engine.name)
    wanted = _wanted(study, launch, url, count)
    handle = engine.scale(handle, wanted)
    launches.note(database, launch, wanted=_as_json(wanted, _settings(launch)), handle=handle)
    return look(_again(database, launch), engine)


def stop(study: OpenStudy, *, at_once: bool) -> list[str]:
    """Has engines take away what waits for a place, and with ``at_once`` tell every worker to leave now.

    Gives a line for each launch whose engine cannot be reached.
    """
    problems = []
    for launch in launches.list_launches(study.database, study.id):
        if launch.stopped_at is not None and not at_once:
            continue
        try:
            engine, handle = _engine(launch)
            handle = engine.stop(handle, only_queued=not at_once)
            launches.stopped(study.database, launch, handle=handle)
        except LaunchError as error:
            problems.append(f"launch {launch.number} on {launch.engine}: {error}")
    return problems


def log_of(study: OpenStudy, worker: str) -> Iterator[bytes]:
    """What a worker of a launch has printed, in pieces.

    Raises:
        LaunchError: no launch has such a worker, or its log cannot be read from here.
    """
    every = launches.list_launches(study.database, study.id)
    names: list[str] = []
    for launch in every:
        engine, handle = _engine(launch)
        try:
            found = [each.name for each in engine.workers(handle)]
        except LaunchError:
            # An engine that is gone may have left the log.
            found = [worker] if worker.startswith(f"w{launch.number}-") else []
        if worker in found:
            return engine.log(handle, worker)
        names += found
    known = f"; it has {', '.join(names)}" if names else ""
    raise LaunchError(f"no launch of study {study.name} has a worker {worker}{known}")


class LaunchWatch:
    """Looks at a launch now and then, and tells of workers that failed."""

    def __init__(self, database: Database, launch: Launch, engine: Engine) -> None:
        self._database = database
        self._launch = launch
        self._engine = engine
        self._told: set[str] = set()
        self._looked = time.monotonic()
        self.view: LaunchView | None = None

    def news(self) -> list[str]:
        """A line for each worker that has failed since the last look; nothing before it is time to look again."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return []
        failed = [each for each in self.look().workers if each.state is WorkerState.FAILED]
        failed = [each for each in failed if each.name not in self._told]
        self._told |= {each.name for each in failed}
        return [f"worker {each.name}{_on(each)} failed: {each.said}" for each in failed]

    def look(self) -> LaunchView:
        self._launch = _again(self._database, self._launch)
        self.view = look(self._launch, self._engine)
        self._looked = time.monotonic()
        return self.view

    def raise_if_nobody_works(self, status: StudyStatus) -> None:
        """Raises LaunchError if all workers have ended while the study runs, and nobody else works on it."""
        if self.view is None or not self.view.ended or status.state != "running":
            return
        if studies.load_study(self._database, status.study).state != "running":
            return
        # One that was killed has not been seen to leave, and counts as live for a while.
        own = tuple(f"{each.name}-" for each in self.view.workers)
        if any(worker.live and not worker.id.startswith(own) for worker in status.workers):
            return
        said = next((each for each in reversed(self.view.workers) if each.said), None)
        why = f": {said.said}; `tuner logs {status.study} --worker {said.name}` shows more" if said else ""
        raise LaunchError(
            f"every worker of launch {self._launch.number} has ended, but study {status.study} has not{why}"
        )

    def settle(self) -> None:
        """Waits a while for workers that leave because the study has ended."""
        deadline = time.monotonic() + _LEAVE_SECONDS
        with suppress(DatabaseUnavailable):
            while not self.look().ended and time.monotonic() < deadline:
                threading.Event().wait(0.2)
            if self.view is not None and self.view.ended:
                launches.stopped(self._database, self._launch)


def _on(worker: EngineWorker) -> str:
    return f" on {worker.node}" if worker.node else ""
