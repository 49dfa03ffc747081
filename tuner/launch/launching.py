"""Launches studies: with a worker of this process, with workers of an engine, or without workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.launches import Launch
from storage.progress import OnStatus, StudyStatus
from storage.progress import status as status_of
from tuner.errors import LaunchError, Problem, SpecError
from tuner.launch import cross_machine, launches
from tuner.launch.engine import Engine
from tuner.launch.engines import LOCAL, engine_of
from tuner.launch.launches import LaunchView
from tuner.launch.opening import Event, OnEvent, create, ignore, open_or_create, opened_for_workers
from tuner.launch.working import Watch, standing_by, watch_launch, work_on, worker_orders
from tuner.spec.reading import load_spec
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import LaunchSettings
from tuner.study.locations import new_study_artifacts, storage_url
from tuner.study.open_study import OpenStudy, opened_study
from tuner.study.storage_access import open_storage
from tuner.worker.settings import WorkerSettings


def launch(
    spec: SearchSpec | Path | str,
    *,
    storage: str | None = None,
    trials: int | None = None,
    slots: int | None = None,
    overrides: Sequence[str] = (),
    on_event: OnEvent | None = None,
    on_status: OnStatus | None = None,
    allow_version_drift: bool = False,
    settings: dict[str, Any] | None = None,
    on: str | None = None,
    workers: int | None = None,
    detach: bool = False,
) -> StudyStatus:
    """Runs a study, or resumes it, until it has ended or stopped.

    One worker on this machine does it, which ends with this process. With ``on``, ``workers`` or ``detach`` an engine
    runs the workers, and they go on without this process: it only starts and watches them.

    Args:
        spec: the spec or its YAML file.
        trials: in place of the spec's; may be raised on an existing study.
        slots: in place of the spec's, for this worker.
        overrides: ``dotted.key=value`` each, over the spec's file.
        on_event: told what happens before the first trial, and that an interruption was heard.
        on_status: told the study's state about once a second.
        allow_version_drift: go on with a study that was launched with other versions, code or data than are here; a
            warning each, instead of a refusal.
        settings: ``WorkerSettings`` fields to change.
        on: the engine: local, ray or slurm.
        workers: how many it runs, in place of the spec's ``resources.workers``.
        detach: return when they are started.

    Raises:
        SpecError, DataError, SpaceError, PreflightError: before anything is stored.
        SpecMismatch: a study of this name has another spec.
        UnreadableSpec: another version of this software wrote the spec of the study of this name.
        VersionDrift: it was launched with other versions or code than are here.
        LaunchError: the worker could not work; an engine is not there, cannot give what is asked for, or has lost every
            worker.
        KeyboardInterrupt: after the worker has left in order; a second one ends it at once. An engine's workers go on.
    """
    if trials is not None:
        overrides = [*overrides, f"trials={trials}"]
    if not isinstance(spec, SearchSpec):
        spec = load_spec(Path(spec), overrides)
    elif overrides:
        raise TypeError("overrides and trials apply to the file of a spec; change the SearchSpec itself")
    if on is not None or workers is not None or detach:
        wish = _EngineWish(on or LOCAL, workers, detach, slots, settings or {}, allow_version_drift)
        return _launch_on_engine(spec, storage, wish, on_event or ignore, on_status)
    url = storage_url(storage, spec)
    with open_storage(url, create=True) as database:
        orders = worker_orders(spec, slots, settings or {}, allow_version_drift)
        artifacts = new_study_artifacts(spec, url)
        with standing_by(orders, url, artifacts) as worker:
            say = on_event or ignore
            opened = opened_for_workers(
                database, spec, artifacts, say, allow_version_drift=allow_version_drift, worker=worker
            )
            with opened as study:
                return work_on(study, worker, say, on_status)


@dataclass(frozen=True)
class _EngineWish:
    on: str
    workers: int | None
    detach: bool
    slots: int | None
    settings: dict[str, Any]
    drift: bool


def _launch_on_engine(
    spec: SearchSpec, storage: str | None, wish: _EngineWish, say: OnEvent, on_status: OnStatus | None
) -> StudyStatus:
    spec = _with_workers(spec, wish.workers)
    url = storage_url(storage, spec)
    engine = _checked_engine(wish.on, spec, url)
    orders = worker_orders(spec, wish.slots, wish.settings, wish.drift)
    launches.check_counts(engine, spec.resources.workers, orders)
    with open_storage(url, create=True) as database:
        artifacts = new_study_artifacts(spec, url)
        with opened_for_workers(database, spec, artifacts, say, allow_version_drift=wish.drift) as study:
            if study.record.state != "running":
                return status_of(database, study.name)
            launch = _begin(study, engine, spec, url, orders, say)
        if wish.detach:
            return status_of(database, study.name)
        watching = Watch(database, study.name, on_status)
        return watch_launch(watching, launches.LaunchWatch(database, launch, engine), say)


def _with_workers(spec: SearchSpec, workers: int | None) -> SearchSpec:
    if workers is None:
        return spec
    resources = spec.resources.model_copy(update={"workers": workers})
    return spec.model_copy(update={"resources": resources})


def _checked_engine(name: str, spec: SearchSpec, url: str) -> Engine:
    """The engine, which is there, can give what is asked for and reaches the database. Raises LaunchError."""
    engine = engine_of(name, spec.launch)
    if engine.spans_machines():
        cross_machine.check_storage(url, engine.name)
    engine.check(launches.needs_of(spec.resources))
    return engine


def _begin(
    study: OpenStudy, engine: Engine, spec: SearchSpec, url: str, orders: WorkerSettings, say: OnEvent
) -> Launch:
    if engine.spans_machines():
        for line in cross_machine.warnings(spec, study.record.artifacts):
            say(Event(f"Warning: {line}"))
    launch = launches.begin(study, engine, spec, url, orders)
    count = spec.resources.workers
    say(Event(f"Launch {launch.number}: {count} worker{'' if count == 1 else 's'} on {engine.name}"))
    return launch


def scale(study: str, workers: int, *, storage: str | None = None) -> LaunchView:
    """Brings the workers of a study's newest launch to that number; those too many leave in order.

    Raises:
        LaunchError: the study does not run, no engine runs workers of it, or the engine cannot be reached.
    """
    url = storage_url(storage)
    with opened_study(study, url) as found:
        return launches.scale(found, url, workers)


def create_study(
    spec: SearchSpec,
    *,
    storage: str | None = None,
    on_event: OnEvent | None = None,
    on: str | None = None,
    workers: int | None = None,
    engines: LaunchSettings | None = None,
) -> StudyStatus:
    """Creates a spec's study after the preflight, and leaves the work to others: it runs as soon as a worker comes.

    Args:
        on: an engine that starts workers of its own for it: local, ray or slurm.
        workers: how many, in place of the spec's ``resources.workers``.
        engines: what the engine is told, in place of the spec's ``launch``; it is not stored with the study's spec.

    Raises:
        StudyExists: there is one of this name; ``open_study`` takes it up again.
        SpecError, DataError, SpaceError, PreflightError: it cannot be run; nothing was stored.
        LaunchError: the engine is not there or cannot give what is asked for; nothing was stored, unless it says so.
    """
    if workers is not None and on is None:
        raise SpecError("request", [Problem("workers", "can be given only together with `on`, which names the engine")])
    say = on_event or ignore
    url = storage_url(storage, spec)
    launched = _with_workers(spec if engines is None else spec.model_copy(update={"launch": engines}), workers)
    engine = None if on is None else _checked_engine(on, launched, url)
    with open_storage(url, create=True) as database:
        study = create(database, spec, new_study_artifacts(spec, url), say)
        if engine is not None:
            try:
                _begin(study, engine, launched, url, worker_orders(launched, None, {}, False), say)
            except LaunchError as error:
                said = f"study {study.name} is there and waits for workers; {on} started none: {error}"
                raise LaunchError(said) from None
        return status_of(database, spec.study)


def open_study(
    spec: SearchSpec,
    *,
    storage: str | None = None,
    on_event: OnEvent | None = None,
    allow_version_drift: bool = False,
) -> StudyStatus:
    """Creates a spec's study, or takes it up again, and leaves the work to others. Raises as ``launch`` does."""
    url = storage_url(storage, spec)
    with open_storage(url, create=True) as database:
        artifacts = new_study_artifacts(spec, url)
        open_or_create(database, spec, artifacts, on_event or ignore, allow_version_drift=allow_version_drift)
        return status_of(database, spec.study)
