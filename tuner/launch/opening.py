"""Opens a spec's study: creates it after the preflight, or takes it up again where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from storage import studies
from storage.artifacts import StudyArtifacts
from storage.database import Database
from storage.errors import StorageError, StudyExists, UnknownStudy
from storage.studies import StudyRecord
from tuner.data.prepared import open_prepared
from tuner.data.sources import look_at
from tuner.errors import LaunchError, Problem, SpecError, SpecMismatch
from tuner.launch.data_report import data_said
from tuner.launch.local.worker import LocalWorker
from tuner.launch.preflight import Preflight, log_of_launch, preflight
from tuner.launch.presets import portfolio_of
from tuner.launch.warm_start import others_of, warm_started
from tuner.processes.versions import differences as version_differences
from tuner.processes.versions import refuse_drift, versions_here
from tuner.spec.changes import FREE_KEYS, differences
from tuner.spec.search_spec import SearchSpec
from tuner.study.locations import default_cache_root
from tuner.study.open_study import OpenStudy
from tuner.worker.search.sampling import HEEDS_CONSTRAINTS, make_pruner, make_sampler


@dataclass(frozen=True)
class Event:
    """Something that happened before the first trial; ``done`` and ``total`` count examples while decoding."""

    message: str
    done: int | None = None
    total: int | None = None


OnEvent = Callable[[Event], None]


def open_or_create(
    database: Database,
    spec: SearchSpec,
    artifacts: StudyArtifacts,
    on_event: OnEvent,
    *,
    allow_version_drift: bool = False,
    worker: LocalWorker | None = None,
) -> OpenStudy:
    """The spec's study, ready to be worked on.

    Args:
        artifacts: those that it will have if it is new.
        worker: stands by, and runs the preflight's model; without it a process of the launch does.

    Raises:
        SpecMismatch: it exists with another spec.
        UnreadableSpec: it exists, and another version of this software wrote its spec.
        VersionDrift: it was launched with other versions or code; not with ``allow_version_drift``.
        SpecError, DataError, SpaceError, PreflightError: it cannot be run; nothing was stored.
    """
    study, is_new = _found_or_created(database, spec, artifacts, on_event, worker)
    if is_new:
        return study
    if not allow_version_drift:
        check_versions(study)
    return _resume(study, spec, on_event)


@contextmanager
def opened_for_workers(
    database: Database,
    spec: SearchSpec,
    artifacts: StudyArtifacts,
    on_event: OnEvent,
    *,
    allow_version_drift: bool = False,
    worker: LocalWorker | None = None,
) -> Iterator[OpenStudy]:
    """As ``open_or_create``, for a block that has workers begin.

    If the block raises LaunchError before anybody has worked on the study, the study is again what it was: a refusal
    changes nothing. One that is new is stopped, since nobody works on it.
    """
    before, since = _as_it_is(database, spec.study), database.clock()
    study = open_or_create(database, spec, artifacts, on_event, allow_version_drift=allow_version_drift, worker=worker)
    try:
        yield study
    except LaunchError:
        # A database that is away has the study as it was taken up; the refusal is what people need to know.
        with suppress(StorageError):
            was = before or replace(study.record, state="stopped", reason="no worker could begin")
            studies.restore(database, was, study.record, since)
        raise


def _as_it_is(database: Database, study: str) -> StudyRecord | None:
    try:
        return studies.load_study(database, study)
    except UnknownStudy:
        return None


def create(database: Database, spec: SearchSpec, artifacts: StudyArtifacts, on_event: OnEvent) -> OpenStudy:
    """The spec's study, which is new. Raises StudyExists if it is not, else as ``open_or_create``."""
    study, is_new = _found_or_created(database, spec, artifacts, on_event)
    if not is_new:
        raise StudyExists(study.name)
    return study


def join_or_create(
    database: Database,
    spec: SearchSpec,
    artifacts: StudyArtifacts,
    on_event: OnEvent,
    *,
    allow_version_drift: bool = False,
) -> OpenStudy:
    """The spec's study in the state that it has; created if there is none. One that was stopped stays stopped.

    Raises as ``open_or_create``.
    """
    study, is_new = _found_or_created(database, spec, artifacts, on_event)
    if not is_new:
        _changed(study, spec)
        if not allow_version_drift:
            check_versions(study)
    return study


def _found_or_created(
    database: Database,
    spec: SearchSpec,
    artifacts: StudyArtifacts,
    on_event: OnEvent,
    worker: LocalWorker | None = None,
) -> tuple[OpenStudy, bool]:
    check_runnable(spec)
    with suppress(UnknownStudy):
        return OpenStudy.load(database, spec.study), False
    try:
        return _create(database, spec, artifacts, on_event, worker), True
    except StudyExists as error:
        # Of several launchers at once one was first. A study of Optuna's alone has no record, and is in the way.
        try:
            return OpenStudy.load(database, spec.study), False
        except UnknownStudy:
            raise error from None


def check_versions(study: OpenStudy) -> None:
    """Raises VersionDrift if libraries or the space's code are not those that the study was launched with."""
    refuse_drift(study.name, version_differences(study.record.versions, versions_here(study.spec)))


def check_runnable(spec: SearchSpec) -> None:
    """Raises SpecError for options that Optuna does not take, and for libraries that are missing here."""
    problems: list[Problem] = []
    for check in (lambda: make_sampler(spec, 0), lambda: make_pruner(spec), lambda: _check_extras(spec)):
        try:
            check()
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError("spec", problems)


def _check_extras(spec: SearchSpec) -> None:
    if spec.training.tensorboard and find_spec("tensorboard") is None:
        missing = "needs a library that is missing: pip install 'keras-champion[tensorboard]'"
        raise SpecError("spec", [Problem("training.tensorboard", missing)])


def _create(
    database: Database,
    spec: SearchSpec,
    artifacts: StudyArtifacts,
    on_event: OnEvent,
    worker: LocalWorker | None,
) -> OpenStudy:
    look_at(spec.data)
    others = others_of(database, spec)
    cache = default_cache_root()
    with log_of_launch(artifacts.preflight_log(), cache) as log:
        on_event(Event("Checking the data, the search space and one batch ..."))
        found = preflight(
            spec,
            cache,
            log,
            explore=spec.warm_start is not None,
            on_decode=lambda done, total: on_event(Event("decoding", done, total)),
            worker=worker,
        )
        warm = warm_started(spec, others, found.hyperparameters, found.description) if others else None
        for line in [*_said(spec, found), *_tensorboard_said(spec, artifacts), *(warm.said if warm else [])]:
            on_event(Event(line))
        presets = warm.presets if warm else []
        if spec.sampler.name == "grid":
            make_sampler(spec, 0, found.grid)
        # A service launches many, and lives long.
        data = open_prepared(Path(found.folder), hold=False)
        splits = json.dumps({name: data.split_record(name) for name in data.splits})
        record = studies.create_study(
            database,
            spec.study,
            objectives=[each.model_dump() for each in spec.objectives],
            spec=spec.stored(),
            summary=found.description,
            fingerprint=found.fingerprint,
            artifacts=artifacts.place,
            budget=spec.trials,
            timeout=spec.timeout,
            versions=versions_here(spec),
            space={
                "hyperparameters": found.hyperparameters,
                "grid": found.grid,
                # By the ordinals of the leases, of which a warm start has the first ones.
                "portfolio": [*presets, *portfolio_of(found.hyperparameters, found.portfolio)],
                "kind": found.kind,
            },
            presets=presets,
            write_files=lambda: artifacts.put_splits(splits),
        )
        return OpenStudy(database, record, cache)


def _said(spec: SearchSpec, found: Preflight) -> list[str]:
    return [
        *data_said(spec, found.description, found.class_weights),
        f"Model: {found.parameters:,} parameters with default values; objective "
        + ", ".join(f"{each.metric} ({each.direction})" for each in spec.objectives),
        *_cannot(spec),
        *(f"Warning: {warning}" for warning in found.warnings),
    ]


def _cannot(spec: SearchSpec) -> list[str]:
    """What Optuna does not do in such a study."""
    said = []
    if len(spec.objectives) > 1 and spec.pruner.name not in ("promote", "none"):
        said.append(f"Pruner {spec.pruner.name} is not used: with several objectives only promote is")
    if spec.constraints and spec.sampler.name not in HEEDS_CONSTRAINTS:
        ranks = "they only decide which trial is best"
        said.append(f"Sampler {spec.sampler.name} does not take the constraints into account; {ranks}")
    return said


def _tensorboard_said(spec: SearchSpec, artifacts: StudyArtifacts) -> list[str]:
    if not spec.training.tensorboard:
        return []
    on_each = "" if str(artifacts.folder).startswith(artifacts.place) else " on each worker's machine"
    return [f"TensorBoard{on_each}: tensorboard --logdir {artifacts.tensorboard_folder()}"]


def _resume(study: OpenStudy, spec: SearchSpec, on_event: OnEvent) -> OpenStudy:
    changed = _changed(study, spec)
    study.check_trials(spec.trials)
    stored = spec.stored() if changed else None
    reopened = studies.take_up(study.database, study.id, spec=stored, budget=spec.trials, timeout=spec.timeout)
    study = study.again()
    if reopened:
        raised = f" with {', '.join(key for key, _, _ in changed)} changed" if changed else ""
        on_event(Event(f"Resuming study {study.name}{raised}"))
    else:
        on_event(Event(f"Study {study.name} has ended: all {study.record.budget} trials are done"))
    return study


def _changed(study: OpenStudy, spec: SearchSpec) -> list[tuple[str, Any, Any]]:
    """The keys in which the spec is not the study's, with both values. Raises SpecMismatch if one may not change."""
    # Keys that the study's version did not know have their defaults.
    changed = differences(study.spec.stored(), spec.stored())
    refused = [item for item in changed if item[0] not in FREE_KEYS]
    if refused:
        listed = "; ".join(f"{key} is {new!r}, was {old!r}" for key, old, new in refused)
        raise SpecMismatch(
            study.name,
            [key for key, _, _ in refused],
            f"study {study.name} exists with another spec: {listed}. Only {', '.join(FREE_KEYS)} may change; "
            "give the study another name, or restore the spec",
        )
    return changed


def ignore(event: Event) -> None:
    """For callers who want no news."""
