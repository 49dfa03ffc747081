"""Exports a trial's kept model. TensorFlow runs in child processes only."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from storage.urls import mask_password
from tuner.champion.card.markdown import write_card
from tuner.champion.child_process import ChildProcess
from tuner.champion.export.model_process import model_process
from tuner.champion.formats.offered import ALWAYS, require_packages, versions_of
from tuner.champion.messages import (
    FROM_CONVERTING,
    Compared,
    CompareOutputs,
    Convert,
    Converted,
    ConvertedFile,
    Decoded,
    DecodeImages,
    FromModels,
    Scored,
    ScoreOutputs,
    WriteExport,
    Written,
)
from tuner.champion.placement import check_destination, put_in_place, staging
from tuner.champion.proof.formats import ALTERNATIVE, FormatProof
from tuner.champion.proof.verification import Exported, verify
from tuner.champion.records.champion_json import Champion, LearnedTarget, Verification, hash_files, write_record
from tuner.champion.records.format_report import FormatReport
from tuner.champion.records.request import ExportReport, ExportRequest
from tuner.champion.registry.signature import signed
from tuner.data.prepared import PreparedData, TargetFacts, open_prepared
from tuner.errors import ExportError
from tuner.spec.search_spec import SearchSpec

_CALLED = "exporting process"
__all__ = ["ExportReport", "ExportRequest", "export_model"]


def export_model(
    request: ExportRequest,
    to: Path,
    log: Path,
    formats: Sequence[str] = ALWAYS,
    models: ChildProcess[FromModels] | None = None,
    *,
    key: bytes | None = None,
) -> ExportReport:
    """Writes ``model.keras``, ``saved_model/``, the card with its pictures and ``champion.json``, proven, or nothing.

    What the SavedModel's signatures take and give is in ``champion.input`` and ``champion.outputs``. The objective is
    computed again from the raw examples of ``request.split`` in a process without this project: accuracies must agree
    to 1e-6, other metrics and losses to 1e-5 of their value (1e-3 in mixed precision). An objective that the model
    itself cannot compute is exported with ``verification.verified`` false and the reason.

    Other formats are converted from the same model and run on the same examples in processes without TensorFlow. One
    that cannot carry the model, or does not give what the SavedModel gives, is not written; ``champion.formats`` says
    why.

    Args:
        request: the trial.
        to: the folder to make; an earlier export there is replaced in one step.
        log: a file that receives what TensorFlow and the user's code print.
        formats: of ``FORMATS``; ``keras`` and ``saved_model`` are written in any case.
        models: the process that writes the model, where there is one already.
        key: the study's, with which the record is signed.

    Raises:
        ExportError: the model cannot be exported, does not give the recorded value, or ``to``
            cannot be written or holds something else. Nothing is left behind, and an earlier
            export stays as it was.
        DataError: the prepared data is damaged.
    """
    to = to.resolve()
    check_destination(to)
    require_packages(formats)
    if not request.checkpoint.is_file():
        raise ExportError(f"the kept model of trial {request.trial}, {request.checkpoint}, does not exist")
    with staging(to) as temporary:
        built, workspace = temporary / "export", temporary / "workspace"
        built.mkdir()
        workspace.mkdir()
        with nullcontext(models) if models is not None else model_process(log) as process:
            exporter = Exporter(process)
            written = exporter.write(request, built, workspace)
            data = open_prepared(written.data)
            exported = Exported(request, written, data, exporter)
            proof = verify(exported, built, workspace, log)
            held_to = FormatProof(exported, proof, exporter, built, workspace, log)
            reports = list(held_to.own())
            for name in formats:
                if name not in ALWAYS:
                    reports += held_to.reports(name, _convert(request, name, built, workspace, log))
        champion = _champion(request, written, data, tuple(reports), proof.verification, versions_of(formats))
        write_card(champion, request.history, request.importances, built)
        champion = champion.model_copy(update={"files": hash_files(built)})
        if key is not None:
            champion = signed(champion, key)
        champion = write_record(champion, built)
        put_in_place(built, to)
    return ExportReport(to, champion)


def _convert(request: ExportRequest, name: str, built: Path, workspace: Path, log: Path) -> Converted:
    """Converts in a process of its own, which converters have been seen to take with them: then there is no file."""
    folder = workspace / f"converted-{name}"
    folder.mkdir()
    try:
        with ChildProcess("tuner.champion.formats.conversion_process", FROM_CONVERTING, log) as child:
            question = Convert(request=request, format=name, folder=folder)
            converted = child.ask(question, Converted, f"conversion to {name}")
    except ExportError as error:
        return Converted(files=(ConvertedFile(name=name, refused=str(error), alternative=ALTERNATIVE),))
    for each in converted.files:
        if each.file is not None:
            os.replace(folder / each.file, built / each.file)
    return converted


class Exporter:
    """Asks the process of the models, which has the user's code, about one export."""

    def __init__(self, process: ChildProcess[FromModels]) -> None:
        self._process = process

    def write(self, request: ExportRequest, built: Path, workspace: Path) -> Written:
        return self._process.ask(WriteExport(request=request, folder=built, workspace=workspace), Written, _CALLED)

    def score(self, outputs: Sequence[Path]) -> Scored:
        return self._process.ask(ScoreOutputs(outputs=tuple(outputs)), Scored, _CALLED)

    def compare(self, outputs: Sequence[Path]) -> tuple[float, ...]:
        return self._process.ask(CompareOutputs(outputs=tuple(outputs)), Compared, _CALLED).differences

    def decode(self, files: Sequence[str], stem: Path) -> int:
        return self._process.ask(DecodeImages(files=tuple(files), stem=stem), Decoded, _CALLED).images


def _champion(
    request: ExportRequest,
    written: Written,
    data: PreparedData,
    formats: tuple[FormatReport, ...],
    verification: Verification,
    packages: dict[str, str],
) -> Champion:
    own = {
        "keras-champion": importlib.metadata.version("keras-champion"),
        "python": platform.python_version(),
    }
    learned = written.learned or data.targets
    return Champion(
        study=request.study,
        trial=request.trial,
        objective=request.spec.objective,
        value=request.value,
        params=request.params,
        metrics=request.metrics,
        task=_task(learned),
        class_names=learned[0].class_names if learned else (),
        targets=tuple(LearnedTarget(name=each.name, task=each.task, class_names=each.class_names) for each in learned),
        input=written.input,
        outputs=written.outputs,
        data_fingerprint=request.data_fingerprint,
        versions=written.versions | packages | own,
        exported_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        files={},
        formats=formats,
        verification=verification,
        spec=_public(request.spec),
        splits={name: len(split) for name, split in data.splits.items()},
        hardware=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        assessment=request.assessment,
        ensemble=request.ensemble,
        single_because=request.single_because,
        retraining=request.retraining,
    )


def _task(targets: Sequence[TargetFacts]) -> str:
    if len(targets) > 1:
        return "several"
    return targets[0].task if targets else "none"


def _public(spec: SearchSpec) -> dict[str, Any]:
    given = spec.model_dump(mode="json")
    return given | ({"storage": mask_password(given["storage"])} if given.get("storage") else {})
