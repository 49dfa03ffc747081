"""Exports a trial's kept model. TensorFlow runs in child processes only."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.champion.child import JsonChild
from tuner.champion.placement import check_destination, put_in_place, staging
from tuner.champion.record import Champion, ImageInput, Verification, hash_files, write_record
from tuner.champion.request import ExportReport, ExportRequest
from tuner.champion.verification import verify
from tuner.data.prepared import open_prepared
from tuner.errors import ExportError
from tuner.spec import DataSpec, ImageDirectory

__all__ = ["ExportReport", "ExportRequest", "export_model"]


def export_model(request: ExportRequest, to: Path, log: Path) -> ExportReport:
    """Writes ``model.keras``, ``saved_model/`` and ``champion.json``, proven, or nothing at all.

    The SavedModel's signatures ``serving_default`` (encoded image files) and ``pixels`` (uint8
    pixels) give ``probabilities``, float32 (batch, classes). The objective is computed again from
    the raw validation files in a process without this project: accuracies must agree to 1e-6,
    other metrics and losses to 1e-5 of their value (1e-3 in mixed precision). An objective that the
    model itself cannot compute is exported with ``verification.verified`` false and the reason.

    Args:
        request: the trial.
        to: the folder to make; an earlier export there is replaced in one step.
        log: a file that receives what TensorFlow and the user's code print.

    Raises:
        ExportError: the model cannot be exported, does not give the recorded value, or ``to``
            cannot be written or holds something else. Nothing is left behind, and an earlier
            export stays as it was.
        DataError: the prepared data is damaged.
    """
    to = to.resolve()
    check_destination(to)
    if not request.checkpoint.is_file():
        raise ExportError(f"the kept model of trial {request.trial}, {request.checkpoint}, does not exist")
    with staging(to) as temporary:
        built, workspace = temporary / "export", temporary / "workspace"
        built.mkdir()
        workspace.mkdir()
        with JsonChild("tuner.champion.exporting", log) as child:
            exporter = _Exporter(child, log)
            written = exporter.write(request, built)
            data = open_prepared(written.data)
            verification = verify(request, built, data, workspace, log, exporter.metrics_of)
        champion = _champion(request, written.versions, hash_files(built), verification)
        write_record(champion, built)
        put_in_place(built, to)
    return ExportReport(to, champion)


@dataclass(frozen=True)
class _Written:
    data: Path
    versions: dict[str, str]


class _Exporter:
    """The conversation with the exporting process."""

    def __init__(self, child: JsonChild, log: Path) -> None:
        self._child = child
        self._log = log

    def write(self, request: ExportRequest, built: Path) -> _Written:
        answer = self._ask({"request": request.model_dump(mode="json"), "folder": os.fspath(built)})
        return _Written(Path(answer["data"]), answer["versions"])

    def metrics_of(self, outputs: Path) -> Mapping[str, float]:
        return self._ask({"outputs": os.fspath(outputs)})["metrics"]

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._child.send(question)
        answer = self._child.receive()
        if answer is None:
            raise ExportError(
                f"the exporting process ended with {self._child.how_it_ended()}; its output is in {self._log}"
            )
        if "refused" in answer:
            raise ExportError(answer["refused"])
        return answer


def _champion(
    request: ExportRequest,
    versions: dict[str, str],
    files: dict[str, str],
    verification: Verification,
) -> Champion:
    own = {
        "keras-champion": importlib.metadata.version("keras-champion"),
        "python": platform.python_version(),
    }
    return Champion(
        study=request.study,
        trial=request.trial,
        objective=request.spec.objective,
        value=request.value,
        params=request.params,
        metrics=request.metrics,
        class_names=request.class_names,
        input=_input(request.spec.data),
        data_fingerprint=request.data_fingerprint,
        versions=versions | own,
        exported_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        files=files,
        verification=verification,
    )


def _input(data: DataSpec) -> ImageInput:
    if not isinstance(data, ImageDirectory):
        raise ExportError(f"models of data of kind {data.kind} cannot be exported yet")
    height, width = data.image_size
    gives = "probabilities: float32 (batch, classes)"
    return ImageInput(
        image_size=data.image_size,
        color_mode=data.color_mode,
        signatures={
            "serving_default": {
                "image_bytes": "string (batch,): contents of JPEG, PNG, BMP or GIF files of any "
                f"size; decoded and resized to {height}x{width}",
                "gives": gives,
            },
            "pixels": {
                "images": "uint8 (batch, height, width, 3): RGB pixels in [0, 255] of any size; "
                f"resized to {height}x{width}",
                "gives": gives,
            },
        },
    )
