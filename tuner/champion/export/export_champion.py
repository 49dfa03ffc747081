"""From a study to its registered champion: chosen, averaged or, if asked for, trained again, exported, proven."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from storage import champions, leaderboard
from storage.database import Database
from storage.errors import StorageError
from storage.held_folders import scratch_folder
from storage.history import history
from storage.leaderboard import TrialDetail
from tuner.champion.choosing.candidates import broken_by, candidates, export_request, kept_trial
from tuner.champion.choosing.retraining import retrain
from tuner.champion.choosing.scoring import Evaluation
from tuner.champion.export.export_model import export_model
from tuner.champion.export.model_process import model_process
from tuner.champion.export.options import ExportKeywords, ExportOptions, export_options
from tuner.champion.formats.offered import require_packages
from tuner.champion.messages import Averaged
from tuner.champion.placement import check_destination, staging
from tuner.champion.records.assessment import Assessment
from tuner.champion.records.request import ExportReport, ExportRequest
from tuner.champion.records.trial_curve import epochs_to_best
from tuner.champion.registry.files import register_export
from tuner.data.splits import TEST
from tuner.errors import ExportError, RegistryError
from tuner.study.open_study import OpenStudy, opened_study


def export_champion(
    study: str,
    to: Path | str | None,
    options: ExportOptions | None = None,
    *,
    storage: str | None = None,
    **keywords: Unpack[ExportKeywords],
) -> ExportReport:
    """Exports the best that was found, or a chosen trial's model, proves its score from raw files and registers it.

    The best trials are scored again on validation and, where there is one, the test split, the first of them with
    bootstrap intervals. The champion is the average of models that does best on validation, or the best trial's model
    where none does better; ``ExportReport.champion`` has the ``assessment`` and the ``ensemble``. The best trial keeps
    the study's constraints; a chosen one need not, and ``ExportReport.violated`` says so. Each file is run on the raw
    examples in a clean process. ``ExportReport.champion.formats`` has what was found, and why a format that cannot
    carry the model was not written.

    Args:
        to: the folder to write; an earlier export there is replaced. With None the study's artifacts alone have it,
            and ``ExportReport.folder`` is gone.
        options: which model and which formats. The fields of ``ExportOptions`` may be given as keyword arguments in
            its place: ``export_champion("digits", "champion", top=3, formats=["onnx"])``.

    Raises:
        UnreadableSpec: another version of this software wrote the study's spec.
        ExportError: the options are wrong, there is no model to export, or it does not score what the study says;
            nothing was written.
        RegistryError: it was exported, but the database or the artifacts went away; ``add_export`` registers it later.
    """
    options = export_options(options, keywords)
    with opened_study(study, storage) as opened:
        with nullcontext(Path(to)) if to is not None else _folder_that_goes() as folder:
            report = _export(opened, options, folder)
            version = _registered(opened, report, stays=to is not None)
        return replace(report, version=version)


def check_export(database: Database, study: str, options: ExportOptions) -> None:
    """Looks whether a study can give what is asked, as far as this machine and the database can tell.

    Raises:
        UnknownStudy, UnknownTrial: there is none.
        ExportError: it cannot.
    """
    _trials_to_export(OpenStudy.load(database, study), options)


def _export(study: OpenStudy, options: ExportOptions, to: Path) -> ExportReport:
    """Chooses a model and exports it, proven.

    Raises:
        ExportError: there is no such model, or it does not score what was recorded; nothing was written.
    """
    # plotly takes half a second to import.
    from tuner.queries.importances import importances

    to, log = to.resolve(), study.artifacts.export_log()
    check_destination(to)
    trials = _trials_to_export(study, options)
    with staging(to) as workspace, ExitStack() as stack:
        requests = [stack.enter_context(export_request(study, each)) for each in trials]
        models = stack.enter_context(model_process(log))
        evaluation = Evaluation(models)
        assessed = evaluation.assess(requests, smallest=options.smallest)
        request = _chosen(requests, assessed)
        if options.averages and isinstance(assessed, Assessment):
            averaged = evaluation.average(options.limits, assessed.chosen, workspace / "ensemble.keras")
            request = _averaged(request, requests, averaged, workspace / "ensemble.keras")
        if options.refit or options.seeds:
            detail = leaderboard.trial(study.database, study.name, request.trial)
            epochs = epochs_to_best(detail) or request.spec.training.epochs
            request = retrain(request, epochs, workspace, log, refit=options.refit, times=options.seeds or 1)
        shares = (importances(history(study.database, study.name)) or {}).get(request.spec.objective.metric)
        request = request.model_copy(update={"importances": shares})
        report = export_model(request, to, log, options.formats, models, key=_key_of(study))
    unassessed = assessed if isinstance(assessed, str) else None
    return replace(report, unassessed=unassessed, violated=broken_by(study, request.trial))


def _key_of(study: OpenStudy) -> bytes | None:
    """None where the database takes none: the export is proven, and can be registered as unverified only."""
    with suppress(StorageError):
        return champions.export_key(study.database, study.id)
    return None


def _trials_to_export(study: OpenStudy, options: ExportOptions) -> list[TrialDetail]:
    """The trials that the champion is chosen from, the best first: what the database alone can tell.

    Raises:
        ExportError: there is no such model.
        UnknownTrial: there is no such trial.
    """
    require_packages(options.formats)
    if options.refit and TEST not in study.record.summary["splits"]:
        raise ExportError(
            f"refit trains on the validation split too, and study {study.name} has no test split to score the model "
            "on: run a study whose data has a test_split"
        )
    numbers = candidates(study, options.trial, options.prefer, options.top)
    return [kept_trial(study, number) for number in numbers]


def _chosen(requests: Sequence[ExportRequest], assessed: Assessment | str) -> ExportRequest:
    if isinstance(assessed, str):
        return requests[0]
    request = next(each for each in requests if each.trial == assessed.chosen)
    return request.model_copy(update={"assessment": assessed})


def _averaged(
    request: ExportRequest, requests: Sequence[ExportRequest], averaged: Averaged, file: Path
) -> ExportRequest:
    """The average, with the curves of each member; the trial that was chosen where there is none, and why."""
    made = averaged.ensemble
    if made is None:
        return request.model_copy(update={"single_because": averaged.reason})
    value = made.whole.validation.value
    histories = {each.trial: each.history for each in requests}
    heaviest = next(each for each in requests if each.trial == made.members[0].trial)
    return request.model_copy(
        update={
            "trial": heaviest.trial,
            "params": heaviest.params,
            "checkpoint": file,
            "value": value,
            "metrics": {request.spec.objective.metric: value},
            "ensemble": made,
            "history": tuple(curve for member in made.members for curve in histories[member.trial]),
        }
    )


@contextmanager
def _folder_that_goes() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield Path(folder, "champion")


def _registered(study: OpenStudy, report: ExportReport, *, stays: bool) -> int:
    try:
        return register_export(study, report.folder, report.champion, stays=stays)
    except (StorageError, RegistryError, OSError) as error:
        if not stays:
            raise RegistryError(f"the champion of {study.name} was not registered: {error}. Export it again") from error
        raise RegistryError(
            f"{report.folder} is exported, but not registered: {error}. Register it later: "
            f"`tuner champions add {shlex.quote(str(report.folder))}`"
        ) from error
