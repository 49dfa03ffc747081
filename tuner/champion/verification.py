"""Proves an export: raw examples in a clean process must give the recorded objective."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from tuner.champion import clean_inference
from tuner.champion.child import ENVIRONMENT, describe_exit
from tuner.champion.confusion import Confusion
from tuner.champion.examples import RawExamples, drawn_examples, prepared, raw_examples
from tuner.champion.record import KERAS_MODEL, SAVED_MODEL, ImageInput, Verification
from tuner.champion.request import ExportRequest
from tuner.champion.scorable import metric_of, why_not
from tuner.champion.written import Scored, Written
from tuner.child_environment import tensorflow_environment
from tuner.data.prepared import PreparedData, target_stem
from tuner.errors import ExportError

# With at least two columns these names mean the share of examples whose most probable class is
# their label, which the clean process counts itself.
_COUNTED = frozenset({"accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy"})
_ACCURACY_TOLERANCE = 1e-6
# Sums of floats depend on their order, which differs between a fused and a served graph.
_FLOAT_TOLERANCE = 1e-5
_MIXED_PRECISION_TOLERANCE = 1e-3
# A wrong export (training mode, another resizing) differs by 0.04 or more, rounding by far less; of outputs that are
# no probabilities, this is the share of the largest one.
_MAX_DIFFERENCE = 1e-2


class Scorer(Protocol):
    """The exporting process, which has the user's code."""

    def score(self, outputs: list[Path]) -> Scored:
        """The model's own metrics on its outputs, .npy files."""

    def compare(self, outputs: list[Path]) -> float:
        """The largest difference between those outputs and what ``model.keras`` gives."""


class _CleanResult(BaseModel):
    accuracy: float | None
    confusion: tuple[tuple[int, ...], ...] | None
    examples: int
    max_difference: float | None
    largest: float
    seconds: float


@dataclass(frozen=True)
class _Score:
    value: float | None
    reason: str | None = None


def verify(
    request: ExportRequest,
    built: Path,
    written: Written,
    data: PreparedData,
    workspace: Path,
    log: Path,
    scorer: Scorer,
) -> Verification:
    """Runs the exported files and compares with what the study recorded.

    Args:
        built: the folder with the exported files; ``written`` is what they are.
        data: the prepared data, whose examples of ``request.split`` are read.
        workspace: an existing folder for temporary files.
        log: receives what the clean process prints.

    Raises:
        ExportError: the files cannot be run, disagree with each other, or give another value.
        DataError: the raw examples cannot be read any more.
    """
    examples = _examples(request, written, data, workspace)
    outputs = [workspace / f"outputs-{index}.npy" for index in range(len(written.raw_tensors))]
    clean = _run_clean(_manifest(request, built, written, data, examples, outputs, workspace), workspace, log)
    difference = scorer.compare(outputs) if clean.max_difference is None else clean.max_difference
    _check_difference(difference, clean.largest, examples)
    score = _score(request, written, data, clean, lambda: scorer.score(outputs))
    tolerance = _tolerance(request)
    if score.value is not None and not abs(score.value - request.value) <= tolerance:
        raise _mismatch(request, score.value, clean.examples, examples)
    return Verification(
        verified=score.value is not None,
        reason=score.reason,
        metric=request.spec.objective.metric,
        value=score.value,
        recorded=request.value,
        tolerance=tolerance,
        accuracy=clean.accuracy,
        confusion=clean.confusion and Confusion(class_names=request.class_names, counts=clean.confusion),
        examples=clean.examples,
        source=examples.source,
        max_difference=difference,
        seconds=round(clean.seconds, 3),
    )


def _examples(request: ExportRequest, written: Written, data: PreparedData, workspace: Path) -> RawExamples:
    takes = written.input
    if not isinstance(takes, ImageInput) and takes.kind == "model":
        return drawn_examples(takes, written.drawn)
    return raw_examples(request.spec.data, data, request.split, takes, workspace)


def _manifest(
    request: ExportRequest,
    built: Path,
    written: Written,
    data: PreparedData,
    examples: RawExamples,
    outputs: list[Path],
    workspace: Path,
) -> dict[str, Any]:
    return {
        "saved_model": os.fspath(built / SAVED_MODEL),
        "keras_model": os.fspath(built / KERAS_MODEL),
        "batch_size": request.evaluation_batch,
        "raw": examples.columns,
        "prepared": _prepared(written, data, request.split, examples),
        "outputs": {
            "signature": written.raw_signature,
            "tensors": written.raw_tensors,
            "files": [os.fspath(file) for file in outputs],
        },
        "labels": os.fspath(data.folder / f"{target_stem(request.split, 0)}.npy") if _counts(written, data) else None,
        "result": os.fspath(workspace / "result.json"),
    }


def _prepared(written: Written, data: PreparedData, split: str, examples: RawExamples) -> dict[str, Any]:
    takes = written.input
    if isinstance(takes, ImageInput):
        return {"structure": "single", "names": [""], "dtypes": [takes.model_dtype], "columns": prepared(data, split)}
    return {
        "structure": takes.structure,
        "names": [each.name for each in takes.tensors],
        "dtypes": [each.dtype for each in takes.tensors],
        "columns": list(examples.columns.values()) if takes.kind == "model" else prepared(data, split),
    }


def _counts(written: Written, data: PreparedData) -> bool:
    """Whether the clean process can count how often the most probable class is the label."""
    return len(data.targets) == 1 and data.task == "classification" and written.outputs[0].tensor == "probabilities"


def _run_clean(manifest: dict[str, Any], workspace: Path, log: Path) -> _CleanResult:
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


def _check_difference(difference: float, largest: float, examples: RawExamples) -> None:
    allowed = _MAX_DIFFERENCE * max(1.0, largest)
    if not difference <= allowed:
        raise ExportError(
            f"the exported SavedModel and {KERAS_MODEL} disagree by {difference:.3g} on "
            f"{examples.source} (at most {allowed:g} is rounding); nothing was exported. "
            "A model that draws random numbers when it is called cannot be proven"
        )


def _score(
    request: ExportRequest,
    written: Written,
    data: PreparedData,
    clean: _CleanResult,
    score: Callable[[], Scored],
) -> _Score:
    objective = request.spec.objective.metric
    name = metric_of(objective)
    if reason := why_not(objective):
        return _Score(None, reason)
    if written.unscorable:
        return _Score(None, written.unscorable)
    # A single unit is compared with a threshold instead.
    if (
        name in _COUNTED
        and clean.accuracy is not None
        and written.raw_columns > 1
        and data.split(request.split).weights is None
    ):
        return _Score(clean.accuracy)
    found = score()
    if found.failed:
        return _Score(None, f"the model's metrics cannot be computed from its outputs: {found.failed}")
    if name not in found.metrics:
        return _Score(
            None,
            f"{objective} is not a metric that the model was compiled with "
            f"({', '.join(sorted(found.metrics))}), so it cannot be computed again",
        )
    return _Score(found.metrics[name])


def _tolerance(request: ExportRequest) -> float:
    name = metric_of(request.spec.objective.metric)
    if name in _COUNTED or name.endswith("accuracy"):
        return _ACCURACY_TOLERANCE
    mixed = request.spec.training.mixed_precision
    relative = _MIXED_PRECISION_TOLERANCE if mixed else _FLOAT_TOLERANCE
    return max(_ACCURACY_TOLERANCE, relative * abs(request.value))


def _mismatch(request: ExportRequest, value: float, count: int, examples: RawExamples) -> ExportError:
    return ExportError(
        f"{request.subject} is not exported: the study recorded "
        f"{request.spec.objective.metric} {request.value!r}, the exported model gives {value!r} on "
        f"{count} {examples.source}. If the trial ran on a GPU, export on a machine with one"
    )
