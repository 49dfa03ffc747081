"""The Python API. The command line is thin over it.

Every function takes ``storage``, a database URL; without it $TUNER_STORAGE counts, then ``tuner.db`` in the working
directory. Errors are ``tuner.errors.TunerError`` and ``storage.errors.StorageError``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from storage import champions, presets
from storage import studies as study_records
from storage.artifacts import StudyArtifacts
from storage.progress import StudyStatus
from tuner.champion.making import Wish, make_champion
from tuner.champion.predict import predict
from tuner.champion.registry import keep_export
from tuner.champion.request import ExportReport
from tuner.errors import PresetError, Problem, SpecError
from tuner.launch.local import LocalWorker
from tuner.launch.preflight import preflight
from tuner.launch.presets import Enqueued, check_preset
from tuner.launch.study import Event, OnEvent, check_versions, open_or_create
from tuner.launch.working import LOOK_SECONDS, OnStatus, Watch, work_on
from tuner.places import artifacts_place, default_cache_root, storage_url, study_artifacts
from tuner.queries import (
    TRIAL_STATES,
    SplitRecord,
    WorkerView,
    best_trials,
    list_studies,
    list_trials,
    list_workers,
    open_storage,
    show_trial,
    split_records,
    stop,
    study_status,
    trial_log,
    upgrade_storage,
)
from tuner.registry import RegisteredChampion, alias_history, fetch_champion, list_champions, promote
from tuner.spec import SPACES, SearchSpec, load_spec
from tuner.worker.settings import WorkerSettings

__all__ = [
    "TRIAL_STATES",
    "Enqueued",
    "Event",
    "RegisteredChampion",
    "SplitRecord",
    "WorkerView",
    "alias_history",
    "best_trials",
    "enqueue",
    "export_champion",
    "fetch_champion",
    "launch",
    "list_champions",
    "list_studies",
    "list_trials",
    "list_workers",
    "predict",
    "promote",
    "search_space",
    "show_trial",
    "split_records",
    "stop",
    "study_spec",
    "study_status",
    "trial_log",
    "upgrade_storage",
    "watch",
    "work",
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
) -> StudyStatus:
    """Runs a study with one worker on this machine, or resumes it, until it has ended or stopped.

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

    Raises:
        SpecError, DataError, SpaceError, PreflightError: before anything is stored.
        SpecMismatch: a study of this name has another spec.
        VersionDrift: it was launched with other versions or code than are here.
        LaunchError: the worker could not work.
        KeyboardInterrupt: after the worker has left in order; a second one ends it at once.
    """
    if trials is not None:
        overrides = [*overrides, f"trials={trials}"]
    if not isinstance(spec, SearchSpec):
        spec = load_spec(Path(spec), overrides)
    elif overrides:
        raise TypeError("overrides and trials go with a spec's file; change a SearchSpec itself")
    url = storage_url(storage, spec)
    with open_storage(url, create=True) as database:
        orders = _orders(spec, slots, settings or {}, allow_version_drift)
        artifacts = study_artifacts(artifacts_place(spec, url), spec.study)
        with _standing_by(orders, url, artifacts) as worker:
            say = on_event or _ignore
            record = open_or_create(database, spec, url, say, allow_version_drift=allow_version_drift)
            return work_on(database, record, worker, say, on_status)


def work(
    study: str,
    *,
    storage: str | None = None,
    slots: int | None = None,
    on_event: OnEvent | None = None,
    on_status: OnStatus | None = None,
    allow_version_drift: bool = False,
    settings: dict[str, Any] | None = None,
) -> StudyStatus:
    """Joins a study as one more worker, until it has ended or stopped. Raises as ``launch`` does."""
    url = storage_url(storage)
    with open_storage(url) as database:
        record = study_records.load_study(database, study)
        if not allow_version_drift:
            check_versions(record)
        orders = _orders(SearchSpec.model_validate(record.spec), slots, settings or {}, allow_version_drift)
        with _standing_by(orders, url, study_artifacts(record.artifacts, study)) as worker:
            return work_on(database, record, worker, on_event or _ignore, on_status)


def _orders(spec: SearchSpec, slots: int | None, settings: dict[str, Any], drift: bool) -> WorkerSettings:
    resources = spec.resources if slots is None else spec.resources.model_copy(update={"slots": slots})
    return WorkerSettings(
        study=spec.study, cache=default_cache_root(), resources=resources, **{"allow_version_drift": drift} | settings
    )


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


def study_spec(study: str, *, storage: str | None = None) -> SearchSpec:
    """The spec that a study was launched with."""
    with open_storage(storage) as database:
        return SearchSpec.model_validate(study_records.load_study(database, study).spec)


def watch(study: str, on_status: OnStatus, *, storage: str | None = None, seconds: float = LOOK_SECONDS) -> StudyStatus:
    """Tells ``on_status`` about a study every ``seconds`` until it neither runs nor stops."""
    with open_storage(storage) as database:
        watching = Watch(database, study, on_status)
        while (status := watching.look()).state in ("running", "stopping"):
            time.sleep(seconds)
        return status


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
    to: Path | str,
    *,
    trial: int | None = None,
    prefer: str | None = None,
    top: int = 5,
    ensemble: int | None = None,
    refit: bool = False,
    seeds: int | None = None,
    storage: str | None = None,
) -> ExportReport:
    """Exports the best trial's model, or a chosen trial's, proves its score from raw files and registers it.

    The best trials are scored again on validation and, where there is one, the test split, with bootstrap intervals.
    The champion is the smallest of those that validation cannot tell from the best; ``ExportReport.champion`` has the
    ``assessment``. The best trial keeps the study's constraints; a chosen one need not, and ``ExportReport.violated``
    says so.

    Args:
        to: the folder to write; an earlier export there is replaced.
        trial: a trial's number, in place of the best one's.
        prefer: one of several objectives: the best of the Pareto front by it. With several objectives this or
            ``trial`` must be given.
        top: how many of the best trials are scored again.
        ensemble: export one model that averages at most so many of them.
        refit: train the champion's hyperparameters again on train and validation for as many epochs as its best one
            took, score that on test and export it.
        seeds: train them so many times; the spread is reported.

    Raises:
        ExportError: there is no model to export, or it does not score what the study says; nothing was written.
    """
    with open_storage(storage) as database:
        record = study_records.load_study(database, study)
        artifacts = study_artifacts(record.artifacts, study)
        wish = Wish(trial, prefer, top, ensemble, refit, seeds)
        report = make_champion(database, record, artifacts, wish, Path(to), default_cache_root())
        champions.register(
            database,
            record.study_id,
            report.champion.trial,
            path=str(report.folder),
            value=report.champion.value,
            verification=report.verification.model_dump(mode="json"),
            kept=keep_export(artifacts, report.folder, report.champion.files),
        )
        return report
