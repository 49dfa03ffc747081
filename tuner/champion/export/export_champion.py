"""From a study to a registered champion: chosen, exported, proven."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from storage.errors import StorageError
from storage.history import history
from tuner.champion.export.pipeline import Wish, make_champion
from tuner.champion.records.request import ExportReport
from tuner.champion.registry.files import register_export
from tuner.errors import RegistryError
from tuner.study.open_study import OpenStudy, opened_study


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
        UnreadableSpec: another version of this software wrote the study's spec.
        ExportError: there is no model to export, or it does not score what the study says; nothing was written.
        RegistryError: it was exported, but the database or the artifacts went away; ``add_export`` registers it later.
    """
    # plotly takes half a second to import.
    from tuner.queries.importances import importances

    with opened_study(study, storage) as opened:
        wish = Wish(trial, prefer, top, ensemble, refit, seeds, tuple(formats))
        with nullcontext(Path(to)) if to is not None else _folder_that_goes() as folder:
            report = make_champion(
                opened, wish, folder, importances=lambda: importances(history(opened.database, study))
            )
            version = _registered(opened, report, stays=to is not None)
        return replace(report, version=version)


@contextmanager
def _folder_that_goes() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tuner-export-", ignore_cleanup_errors=True) as folder:
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
