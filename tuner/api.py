"""The Python API. The command line is thin over it.

Every function takes ``storage``, a database URL; without it $TUNER_STORAGE counts, then ``tuner.db`` in the working
directory. Errors are ``tuner.errors.TunerError`` and ``storage.errors.StorageError``.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from storage import presets
from storage import studies as study_records
from storage.artifacts import StudyArtifacts
from storage.database import Database
from storage.errors import StorageError
from storage.history import history
from storage.launches import Launch
from storage.progress import StudyStatus
from storage.progress import status as status_of
from storage.studies import StudyRecord
from tuner.champion.making import Wish, make_champion
from tuner.champion.predict import predict
from tuner.champion.registry import register_export
from tuner.champion.request import ExportReport
from tuner.chart_data import curves_chart, history_chart, importances_chart, parameters_chart
from tuner.errors import LaunchError, PresetError, Problem, RegistryError, SpecError
from tuner.feed import LOOK_SECONDS, follow
from tuner.launch import launches, reach
from tuner.launch.engine import Engine
from tuner.launch.engines import LOCAL, engine_of
from tuner.launch.launches import LaunchView
from tuner.launch.local import LocalWorker
from tuner.launch.pool import Pool, PoolOrders
from tuner.launch.preflight import preflight
from tuner.launch.presets import Enqueued, check_preset
from tuner.launch.study import Event, OnEvent, check_versions, create, join_or_create, open_or_create
from tuner.launch.working import OnStatus, Watch, watch_launch, work_on
from tuner.places import artifacts_place, default_cache_root, storage_url, study_artifacts
from tuner.queries import (
    TRIAL_STATES,
    LiveWorker,
    SplitRecord,
    Storage,
    WorkerView,
    best_trials,
    delete_study,
    lease_page,
    list_launches,
    list_pools,
    list_studies,
    list_trials,
    list_workers,
    open_storage,
    resume,
    show_trial,
    split_records,
    stop,
    stored_spec,
    study_page,
    study_status,
    trial_log,
    trial_page,
    upgrade_storage,
    worker_log,
    worker_page,
)
from tuner.registry import (
    RegisteredChampion,
    add_export,
    alias_history,
    champion_page,
    fetch_champion,
    list_champions,
    promote,
    register_in_mlflow,
)
from tuner.spec import SPACES, LaunchSettings, SearchSpec, load_spec
from tuner.worker.settings import WorkerSettings

__all__ = [
    "TRIAL_STATES",
    "Enqueued",
    "Event",
    "LaunchView",
    "LiveWorker",
    "RegisteredChampion",
    "SplitRecord",
    "WorkerView",
    "add_export",
    "alias_history",
    "best_trials",
    "champion_page",
    "create_study",
    "curves_chart",
    "delete_study",
    "enqueue",
    "export_champion",
    "fetch_champion",
    "history_chart",
    "importances_chart",
    "launch",
    "lease_page",
    "list_champions",
    "list_launches",
    "list_pools",
    "list_studies",
    "list_trials",
    "list_workers",
    "open_study",
    "parameters_chart",
    "predict",
    "promote",
    "register_in_mlflow",
    "resume",
    "scale",
    "search_space",
    "show_trial",
    "split_records",
    "stop",
    "stored_spec",
    "study_page",
    "study_spec",
    "study_status",
    "trial_log",
    "trial_page",
    "upgrade_storage",
    "watch",
    "work",
    "work_any",
    "worker_log",
    "worker_page",
    "write_report",
    "write_template",
]


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
        raise TypeError("overrides and trials go with a spec's file; change a SearchSpec itself")
    if on is not None or workers is not None or detach:
        wish = _EngineWish(on or LOCAL, workers, detach, slots, settings or {}, allow_version_drift)
        return _launch_on_engine(spec, storage, wish, on_event or _ignore, on_status)
    url = storage_url(storage, spec)
    with open_storage(url, create=True) as database:
        orders = _orders(spec, slots, settings or {}, allow_version_drift)
        artifacts = study_artifacts(artifacts_place(spec, url), spec.study)
        with _standing_by(orders, url, artifacts) as worker:
            say = on_event or _ignore
            record = open_or_create(database, spec, url, say, allow_version_drift=allow_version_drift)
            return work_on(database, record, worker, say, on_status)


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
    orders = _orders(spec, wish.slots, wish.settings, wish.drift)
    launches.check_counts(engine, spec.resources.workers, orders)
    with open_storage(url, create=True) as database:
        record = open_or_create(database, spec, url, say, allow_version_drift=wish.drift)
        if record.state != "running":
            return status_of(database, record.name)
        launch = _begin(database, record, engine, spec, url, orders, say)
        if wish.detach:
            return status_of(database, record.name)
        watching = Watch(database, record.name, on_status)
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
        reach.check_storage(url, engine.name)
    engine.check(launches.needs_of(spec.resources))
    return engine


def _begin(
    database: Database,
    record: StudyRecord,
    engine: Engine,
    spec: SearchSpec,
    url: str,
    orders: WorkerSettings,
    say: OnEvent,
) -> Launch:
    if engine.spans_machines():
        for line in reach.warnings(spec, record.artifacts):
            say(Event(f"Warning: {line}"))
    launch = launches.begin(database, record, engine, spec, url, orders)
    count = spec.resources.workers
    say(Event(f"Launch {launch.number}: {count} worker{'' if count == 1 else 's'} on {engine.name}"))
    return launch


def scale(study: str, workers: int, *, storage: str | None = None) -> LaunchView:
    """Brings the workers of a study's newest launch to that number; those too many leave in order.

    Raises:
        LaunchError: the study does not run, no engine runs workers of it, or the engine cannot be reached.
    """
    url = storage_url(storage)
    with open_storage(url) as database:
        return launches.scale(database, study_records.load_study(database, study), url, workers)


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
        raise SpecError("request", [Problem("workers", "are an engine's; name it with `on`")])
    say = on_event or _ignore
    url = storage_url(storage, spec)
    launched = _with_workers(spec if engines is None else spec.model_copy(update={"launch": engines}), workers)
    engine = None if on is None else _checked_engine(on, launched, url)
    with open_storage(url, create=True) as database:
        record = create(database, spec, url, say)
        if engine is not None:
            try:
                _begin(database, record, engine, launched, url, _orders(launched, None, {}, False), say)
            except LaunchError as error:
                said = f"study {record.name} is there and waits for workers; {on} started none: {error}"
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
        open_or_create(database, spec, url, on_event or _ignore, allow_version_drift=allow_version_drift)
        return status_of(database, spec.study)


def work(
    study: str,
    *,
    storage: str | None = None,
    create_from: SearchSpec | None = None,
    slots: int | None = None,
    on_event: OnEvent | None = None,
    on_status: OnStatus | None = None,
    allow_version_drift: bool = False,
    settings: dict[str, Any] | None = None,
) -> StudyStatus:
    """Joins a study as one more worker, until it has ended or stopped. Raises as ``launch`` does.

    Args:
        create_from: the study's spec, to create it from if there is none of this name. One that was stopped stays so.
    """
    url = storage_url(storage, create_from)
    with open_storage(url, create=create_from is not None) as database:
        if create_from is not None:
            say = on_event or _ignore
            record = join_or_create(database, create_from, url, say, allow_version_drift=allow_version_drift)
        else:
            record = study_records.load_study(database, study)
            if not allow_version_drift:
                check_versions(record)
        orders = _orders(SearchSpec.model_validate(record.spec), slots, settings or {}, allow_version_drift)
        with _standing_by(orders, url, study_artifacts(record.artifacts, study)) as worker:
            return work_on(database, record, worker, on_event or _ignore, on_status)


def work_any(
    *,
    storage: str | None = None,
    studies: str = "*",
    slots: int | None = None,
    turn_seconds: float = 120.0,
    on_event: OnEvent | None = None,
    allow_version_drift: bool = False,
    settings: dict[str, Any] | None = None,
) -> None:
    """Serves every study that runs and waits for workers, one at a time, until SIGTERM: a pool's share of one node.

    A study that cannot be worked on here is said to ``on_event`` and tried again later. A database that is away is
    waited for.

    Args:
        studies: a pattern that their names match, such as ``team-*``.
        slots: trials at a time, in place of what each study's ``resources`` say.
        turn_seconds: how long a study is served while others of the same priority have no worker at all.

    Raises:
        StorageError: the database cannot be used.
        KeyboardInterrupt: after the worker has left in order; a second one ends it at once.
    """
    orders = PoolOrders(
        studies=studies,
        slots=slots,
        turn_seconds=turn_seconds,
        allow_version_drift=allow_version_drift,
        settings=settings or {},
    )
    Pool(orders, storage_url(storage), on_event or _ignore).run()


def _orders(spec: SearchSpec, slots: int | None, settings: dict[str, Any], drift: bool) -> WorkerSettings:
    resources = spec.resources if slots is None else spec.resources.model_copy(update={"slots": slots})
    return WorkerSettings(study=spec.study, resources=resources, **{"allow_version_drift": drift} | settings)


@contextmanager
def _standing_by(orders: WorkerSettings, url: str, artifacts: StudyArtifacts) -> Iterator[LocalWorker]:
    """A worker that is gone when the block is left, whatever happened."""
    worker = LocalWorker(orders, url, artifacts.launcher_log())
    try:
        yield worker
    finally:
        worker.kill()


def _ignore(event: Event) -> None:
    """For callers who want no news."""


def study_spec(study: str, *, storage: Storage = None) -> SearchSpec:
    """The spec that a study was launched with."""
    with open_storage(storage) as database:
        return SearchSpec.model_validate(study_records.load_study(database, study).spec)


def watch(
    study: str,
    on_status: OnStatus,
    *,
    storage: str | None = None,
    on_away: Callable[[str], None] | None = None,
    seconds: float = LOOK_SECONDS,
) -> StudyStatus:
    """Tells ``on_status`` of every change of a study, looked at every ``seconds``, until it neither runs nor stops.

    Args:
        on_away: told why the database cannot be asked, once each time that it goes away. It is waited for, and
            ``on_status`` told as soon as it is back.

    Raises:
        UnknownStudy: there is none of this name, or no more.
        DatabaseUnavailable: it cannot be asked at first.
    """
    with open_storage(storage) as database:
        for event in follow(study, storage=database, seconds=seconds):
            if event.away is not None and on_away is not None:
                on_away(str(event.away))
            elif event.kind == "status":
                on_status(event.status)
        return event.status


def search_space(spec: SearchSpec | Path | str, overrides: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every hyperparameter of a spec's search space, as JSON: name, kind, range, scale, default, condition.

    Raises:
        SpecError, DataError, SpaceError: it cannot be listed.
    """
    if not isinstance(spec, SearchSpec):
        spec = load_spec(Path(spec), overrides)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "space.log")
        return preflight(spec, default_cache_root(), log, check=False, explore=True).hyperparameters


def enqueue(study: str, values: Mapping[str, Any], *, storage: str | None = None) -> Enqueued:
    """Has a configuration tried next, within the study's budget: by the next trial that has not begun.

    Hyperparameters without a value are sampled, in trial 0 they take their defaults. Values for hyperparameters that
    the configuration does not ask for are not used.

    Args:
        values: by hyperparameter, as ``tuner space`` names them.

    Raises:
        PresetError: there is no such hyperparameter, or the value is not allowed.
        UnknownStudy: there is none of this name.
        NothingLeft: every trial has begun, or has a configuration already.
    """
    with open_storage(storage) as database:
        record = study_records.load_study(database, study)
        spec = SearchSpec.model_validate(record.spec)
        if spec.sampler.name == "grid":
            raise PresetError([f"study {study} has the grid sampler, which tries its own values only"])
        if not values:
            raise PresetError(["name at least one hyperparameter and its value: name=value"])
        # A space that only its models can tell is listed now, and was not at launch.
        space = record.space["hyperparameters"] or search_space(spec)
        checked = check_preset(space, values)
        return Enqueued(checked, presets.enqueue(database, study, checked))


def write_template(kind: str, path: Path | None = None) -> Path:
    """Writes a spec with a comment on every key, and never over a file that is there.

    Raises:
        SpecError: there is no such kind, or the file exists.
    """
    template = resources.files("tuner").joinpath("templates", f"{kind}.yaml")
    if kind not in SPACES:
        raise SpecError("tuner init", [Problem("", f"no template {kind!r}; one of {', '.join(SPACES)}")])
    path = path or Path(f"{kind}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template.read_text(encoding="utf-8"))
    except FileExistsError:
        raise SpecError(str(path), [Problem("", "exists already; name another file")]) from None
    except OSError as error:
        raise SpecError(str(path), [Problem("", f"cannot be written: {error.strerror}")]) from None
    return path


def write_report(study: str, path: Path | str | None = None, *, storage: str | None = None) -> Path:
    """Writes one self-contained HTML page about a study, running or ended; gives its file.

    Args:
        path: the file, in an existing folder; what is there is replaced. ``STUDY.html`` unless given.

    Raises:
        UnknownStudy: there is none of this name.
        ReportError: the file cannot be written.
    """
    # plotly takes half a second to import.
    from tuner.report.writing import write_page

    with open_storage(storage) as database:
        return write_page(database, study, Path(path or f"{study.replace('/', '_')}.html"))


def export_champion(
    study: str,
    to: Path | str | None,
    *,
    trial: int | None = None,
    prefer: str | None = None,
    top: int = 5,
    ensemble: int | None = None,
    refit: bool = False,
    seeds: int | None = None,
    formats: Sequence[str] = ("keras", "saved_model"),
    storage: str | None = None,
) -> ExportReport:
    """Exports the best trial's model, or a chosen trial's, proves its score from raw files and registers it.

    The best trials are scored again on validation and, where there is one, the test split, with bootstrap intervals.
    The champion is the smallest of those that validation cannot tell from the best; ``ExportReport.champion`` has the
    ``assessment``. The best trial keeps the study's constraints; a chosen one need not, and ``ExportReport.violated``
    says so.

    Args:
        to: the folder to write; an earlier export there is replaced. With None the study's artifacts alone have it,
            and ``ExportReport.folder`` is gone.
        trial: a trial's number, in place of the best one's.
        prefer: one of several objectives: the best of the Pareto front by it. With several objectives this or
            ``trial`` must be given.
        top: how many of the best trials are scored again.
        ensemble: export one model that averages at most so many of them.
        refit: train the champion's hyperparameters again on train and validation for as many epochs as its best one
            took, score that on test and export it.
        seeds: train them so many times; the spread is reported.
        formats: of ``keras``, ``saved_model`` (always written), ``onnx`` and ``litert``; each is run on the raw
            examples in a clean process. ``ExportReport.champion.formats`` has what was found, and why one that cannot
            carry the model was not written.

    Raises:
        ExportError: there is no model to export, or it does not score what the study says; nothing was written.
        RegistryError: it was exported, but the database or the artifacts went away; ``add_export`` registers it later.
    """
    # plotly takes half a second to import.
    from tuner.report.importances import importances

    with open_storage(storage) as database:
        record = study_records.load_study(database, study)
        artifacts = study_artifacts(record.artifacts, study)
        wish = Wish(trial, prefer, top, ensemble, refit, seeds, tuple(formats))
        with nullcontext(Path(to)) if to is not None else _folder_that_goes() as folder:
            report = make_champion(
                database,
                record,
                artifacts,
                wish,
                folder,
                default_cache_root(),
                importances=lambda: importances(history(database, study)),
            )
            version = _registered(database, record, artifacts, report, stays=to is not None)
        return replace(report, version=version)


@contextmanager
def _folder_that_goes() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tuner-export-", ignore_cleanup_errors=True) as folder:
        yield Path(folder, "champion")


def _registered(
    database: Database, record: StudyRecord, artifacts: StudyArtifacts, report: ExportReport, *, stays: bool
) -> int:
    try:
        return register_export(database, record, artifacts, report.folder, report.champion, stays=stays)
    except (StorageError, RegistryError, OSError) as error:
        if not stays:
            raise RegistryError(
                f"the champion of {record.name} was not registered: {error}. Export it again"
            ) from error
        raise RegistryError(
            f"{report.folder} is exported, but not registered: {error}. Register it later: "
            f"`tuner champions add {shlex.quote(str(report.folder))}`"
        ) from error
