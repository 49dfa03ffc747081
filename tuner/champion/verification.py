"""Proves an export: raw validation files in a clean process must give the recorded objective."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tuner.champion import clean_inference
from tuner.champion.child import ENVIRONMENT, describe_exit
from tuner.champion.record import KERAS_MODEL, SAVED_MODEL, Verification
from tuner.champion.request import ExportRequest
from tuner.child_environment import tensorflow_environment
from tuner.data.prepared import FileOrigin, PreparedData, input_stem
from tuner.data.splits import VALIDATION
from tuner.errors import ExportError

# With at least two columns these names mean the share of examples whose most probable class is
# their label, which the clean process counts itself.
_COUNTED = frozenset({"accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy"})
_ACCURACY_TOLERANCE = 1e-6
# Sums of floats depend on their order, which differs between a fused and a served graph.
_FLOAT_TOLERANCE = 1e-5
_MIXED_PRECISION_TOLERANCE = 1e-3
# A wrong export (training mode, another resizing) differs by 0.04 or more, rounding by far less.
_MAX_DIFFERENCE = 1e-2

MetricsOf = Callable[[Path], Mapping[str, float]]


class _CleanResult(BaseModel):
    accuracy: float
    examples: int
    columns: int
    max_difference: float | None
    seconds: float


@dataclass(frozen=True)
class _Score:
    value: float | None
    reason: str | None = None


def verify(
    request: ExportRequest,
    built: Path,
    data: PreparedData,
    workspace: Path,
    log: Path,
    metrics_of: MetricsOf,
) -> Verification:
    """Runs the exported files and compares with what the study recorded.

    Args:
        built: the folder with the exported files.
        data: the prepared data, whose validation files are read.
        workspace: an existing folder for temporary files.
        log: receives what the clean process prints.
        metrics_of: gives the model's own metrics for a .npy file of its outputs.

    Raises:
        ExportError: the files cannot be run, disagree with each other, or give another value.
    """
    outputs = workspace / "outputs.npy"
    clean = _run_clean(_manifest(request, built, data, workspace, outputs), workspace, log)
    _check_difference(clean)
    score = _score(request, clean, lambda: metrics_of(outputs))
    tolerance = _tolerance(request)
    if score.value is not None and not abs(score.value - request.value) <= tolerance:
        raise _mismatch(request, score.value, clean.examples)
    return Verification(
        verified=score.value is not None,
        reason=score.reason,
        metric=request.spec.objective.metric,
        value=score.value,
        recorded=request.value,
        tolerance=tolerance,
        accuracy=clean.accuracy,
        examples=clean.examples,
        max_difference=clean.max_difference,
        seconds=round(clean.seconds, 3),
    )


def _manifest(
    request: ExportRequest, built: Path, data: PreparedData, workspace: Path, outputs: Path
) -> dict[str, object]:
    split = data.split(VALIDATION)
    assert isinstance(split.origin, FileOrigin)
    return {
        "saved_model": os.fspath(built / SAVED_MODEL),
        "keras_model": os.fspath(built / KERAS_MODEL),
        "files": [os.path.join(split.origin.root, file) for file in split.origin.files],
        "labels": split.targets[0].tolist(),
        "images": os.fspath(data.folder / f"{input_stem(VALIDATION, 0)}.npy"),
        "batch_size": request.evaluation_batch,
        "outputs": os.fspath(outputs),
        "result": os.fspath(workspace / "result.json"),
    }


def _run_clean(manifest: dict[str, object], workspace: Path, log: Path) -> _CleanResult:
    path, result = workspace / "request.json", workspace / "result.json"
    # ASCII: undecodable bytes of file names are lone surrogates, kept as escapes.
    path.write_text(json.dumps(manifest), encoding="ascii")
    with log.open("ab") as output:
        ended = subprocess.run(
            [sys.executable, "-I", clean_inference.__file__, os.fspath(path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=tensorflow_environment(workspace) | ENVIRONMENT,
            cwd=workspace,
            check=False,
        )
    if ended.returncode != 0 or not result.exists():
        raise ExportError(f"the verification ended with {describe_exit(ended.returncode)}; its output is in {log}")
    given = json.loads(result.read_text(encoding="ascii"))
    try:
        return _CleanResult.model_validate(given)
    except ValidationError:
        raise ExportError(f"the exported model does not run: {given.get('error')}") from None


def _check_difference(clean: _CleanResult) -> None:
    if clean.max_difference is not None and not clean.max_difference <= _MAX_DIFFERENCE:
        raise ExportError(
            f"the exported SavedModel and {KERAS_MODEL} disagree by {clean.max_difference:.3g} on "
            f"the validation files (at most {_MAX_DIFFERENCE:g} is rounding); nothing was exported"
        )


def _score(request: ExportRequest, clean: _CleanResult, metrics: Callable[[], Mapping[str, float]]) -> _Score:
    objective = request.spec.objective.metric
    name = objective.removeprefix("val_")
    if name == objective:
        return _Score(None, f"{objective} is measured on training batches while the model changes")
    if name in _COUNTED and clean.columns > 1:
        return _Score(clean.accuracy)
    found = metrics()
    if name not in found:
        return _Score(
            None,
            f"{objective} is not a metric that the model was compiled with "
            f"({', '.join(sorted(found))}), so it cannot be computed again",
        )
    return _Score(found[name])


def _tolerance(request: ExportRequest) -> float:
    name = request.spec.objective.metric.removeprefix("val_")
    if name in _COUNTED or name.endswith("accuracy"):
        return _ACCURACY_TOLERANCE
    mixed = request.spec.training.mixed_precision
    relative = _MIXED_PRECISION_TOLERANCE if mixed else _FLOAT_TOLERANCE
    return max(_ACCURACY_TOLERANCE, relative * abs(request.value))


def _mismatch(request: ExportRequest, value: float, examples: int) -> ExportError:
    return ExportError(
        f"trial {request.trial} is not exported: the study recorded "
        f"{request.spec.objective.metric} {request.value!r}, the exported model gives {value!r} on "
        f"the {examples} validation files. If the trial ran on a GPU, export on a machine with one"
    )
