"""Proves an export: raw examples in a clean process must give the recorded objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tuner.champion.messages import Scored, Written
from tuner.champion.model.tensors import PROBABILITIES
from tuner.champion.proof.clean_runs import (
    CleanOutputs,
    CleanRun,
    NotRun,
    Structure,
    differences,
    largest,
    run_clean,
    serving,
)
from tuner.champion.proof.examples import RawExamples, drawn_examples, prepared, raw_examples
from tuner.champion.proof.served import check_served, everything_served, loss_of
from tuner.champion.records.champion_json import KERAS_MODEL, SAVED_MODEL, ImageInput, Verification
from tuner.champion.records.confusion import Confusion
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.scorable import metric_of, why_not
from tuner.data.classes import classes_of
from tuner.data.prepared import PreparedData, target_stem
from tuner.errors import ExportError

# With at least two columns these names mean the share of examples whose most probable class is
# their label, which can be counted.
_COUNTED = frozenset({"accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy"})
_ACCURACY_TOLERANCE = 1e-6
# Sums of floats depend on their order, which differs between a fused and a served graph.
_FLOAT_TOLERANCE = 1e-5
_MIXED_PRECISION_TOLERANCE = 1e-3


class Scorer(Protocol):
    """The exporting process, which has the user's code."""

    def score(self, outputs: list[Path]) -> Scored:
        """The model's own metrics on its outputs, .npy files."""

    def compare(self, outputs: list[Path]) -> tuple[float, ...]:
        """The largest difference of each of those outputs from what ``model.keras`` gives."""


@dataclass(frozen=True)
class Score:
    """The objective, or why it cannot be computed again."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Exported:
    """What is proven: the export, its data, and how its outputs become a score."""

    request: ExportRequest
    written: Written
    data: PreparedData
    scorer: Scorer

    def score(self, outputs: CleanOutputs) -> Score:
        """The objective from the model's own outputs for the examples of ``request.split``."""
        objective = self.request.spec.objective.metric
        name = metric_of(objective)
        if reason := why_not(objective) or self.written.unscorable:
            return Score(None, reason)
        if self._is_counted(name):
            return Score(self.confusion(outputs, self.written.raw_tensors[0]).accuracy)
        found = self.scorer.score([outputs.files[tensor] for tensor in self.written.raw_tensors])
        if found.failed:
            return Score(None, f"the model's metrics cannot be computed from its outputs: {found.failed}")
        if name not in found.metrics:
            if self.written.lost:
                return Score(None, self.written.lost)
            known = ", ".join(sorted(found.metrics))
            unknown = f"{objective} is not a metric that the model was compiled with ({known})"
            return Score(None, f"{unknown}, so it cannot be computed again")
        return Score(found.metrics[name])

    def _is_counted(self, name: str) -> bool:
        # A single unit is compared with a threshold instead.
        # The scorer has the labels as the user's own arrays have them.
        unweighted = not self.data.weights and self.written.own is None
        return name in _COUNTED and self.has_classes and self.written.raw_columns > 1 and unweighted

    @property
    def has_classes(self) -> bool:
        """Whether one of several classes is what it says of each example."""
        learned = self.written.learned
        one = len(learned) == 1 and learned[0].task == "classification"
        return one and self.written.outputs[0].tensor == PROBABILITIES

    def confusion(self, outputs: CleanOutputs, tensor: str) -> Confusion:
        learned = self.written.learned[0]
        labels = np.load(self.data.folder / f"{target_stem(self.request.split, 0)}.npy")
        return Confusion.counted(learned.class_names, outputs.arrays[tensor], classes_of(learned, labels))

    def rounding(self, outputs: CleanOutputs, tensor: str) -> float:
        """How far another computation of this output may be from it, absolute."""
        return self.written.arithmetic.allowed(outputs.device, largest(outputs.arrays[tensor]))

    @property
    def tolerance(self) -> float:
        """How much the objective may differ from the recorded one, absolute."""
        name = metric_of(self.request.spec.objective.metric)
        if name in _COUNTED or name.endswith("accuracy"):
            return _ACCURACY_TOLERANCE
        mixed = self.request.spec.training.mixed_precision
        relative = _MIXED_PRECISION_TOLERANCE if mixed else _FLOAT_TOLERANCE
        return max(_ACCURACY_TOLERANCE, relative * abs(self.request.value))


@dataclass(frozen=True)
class Proof:
    """What the exported files gave for the raw examples.

    Attributes:
        keras: of ``model.keras``; None where that needs code of its user, and the exporting process compared.
    """

    verification: Verification
    examples: RawExamples
    saved_model: CleanOutputs
    keras: CleanOutputs | None


def verify(exported: Exported, built: Path, workspace: Path, log: Path) -> Proof:
    """Runs the exported files and compares with what the study recorded.

    Args:
        built: the folder with the exported files.
        workspace: an existing folder for temporary files.
        log: receives what the clean process prints.

    Raises:
        ExportError: the files cannot be run, disagree with each other, or give another value.
        DataError: the raw examples cannot be read any more.
    """
    request, written = exported.request, exported.written
    examples = _examples(exported, workspace)
    runs = [_saved_model(written, built, examples), _keras(exported, built, examples)]
    found = run_clean(runs, request.evaluation_batch, (), workspace, log)
    saved_model, keras = (_ran(found[name]) for name in (SAVED_MODEL, KERAS_MODEL))
    assert saved_model is not None
    check_served(written, exported.data.targets, saved_model, loss_of(request.checkpoint))
    furthest = _furthest(exported, saved_model, keras, examples)
    score = exported.score(saved_model)
    if score.value is not None and not abs(score.value - request.value) <= exported.tolerance:
        raise _mismatch(request, score.value, saved_model.examples, examples)
    confusion = exported.confusion(saved_model, PROBABILITIES) if exported.has_classes else None
    verification = Verification(
        verified=score.value is not None,
        reason=score.reason,
        metric=request.spec.objective.metric,
        value=score.value,
        recorded=request.value,
        tolerance=exported.tolerance,
        accuracy=confusion and confusion.accuracy,
        confusion=confusion,
        examples=saved_model.examples,
        source=examples.source,
        max_difference=furthest,
        seconds=round(saved_model.seconds, 3),
    )
    return Proof(verification, examples, saved_model, keras)


def _examples(exported: Exported, workspace: Path) -> RawExamples:
    request, takes = exported.request, exported.written.input
    if not isinstance(takes, ImageInput) and takes.kind == "model":
        return drawn_examples(takes, exported.written.drawn)
    return raw_examples(request.spec.data, exported.data, request.split, takes, workspace, exported.written.own)


def _saved_model(written: Written, built: Path, examples: RawExamples) -> CleanRun:
    return CleanRun(SAVED_MODEL, "saved_model", built / SAVED_MODEL, examples.columns, everything_served(written))


def _keras(exported: Exported, built: Path, examples: RawExamples) -> CleanRun:
    written, data, split = exported.written, exported.data, exported.request.split
    takes = written.input
    if isinstance(takes, ImageInput):
        structure, columns = Structure("single", ("",), (takes.model_dtype,)), prepared(data, split, takes)
    else:
        names, dtypes = zip(*((each.name, each.dtype) for each in takes.tensors), strict=True)
        structure = Structure(takes.structure, names, dtypes)
        columns = list(examples.columns.values()) if takes.kind == "model" else prepared(data, split, takes)
    # By position: two columns may have one name as Keras knows them.
    by_place = {str(place): column for place, column in enumerate(columns)}
    keep = serving(written.raw_tensors)
    return CleanRun(KERAS_MODEL, "keras", built / KERAS_MODEL, by_place, keep, structure)


def _ran(found: CleanOutputs | NotRun) -> CleanOutputs | None:
    if isinstance(found, CleanOutputs):
        return found
    if found.failed:
        raise ExportError(f"the exported model does not run: {found.reason}")
    return None


def _furthest(
    exported: Exported, saved_model: CleanOutputs, keras: CleanOutputs | None, examples: RawExamples
) -> float:
    """The largest difference between the two models' outputs, refused where it is more than rounding."""
    tensors: Sequence[str] = exported.written.raw_tensors
    if keras is None:
        found = exported.scorer.compare([saved_model.files[tensor] for tensor in tensors])
    else:
        found = differences(saved_model, keras, tensors)
    for tensor, each in zip(tensors, found, strict=True):
        allowed = exported.rounding(saved_model, tensor)
        if not each <= allowed:
            raise ExportError(
                f"the exported SavedModel and {KERAS_MODEL} disagree by {each:.3g} in {tensor} on "
                f"{examples.source} (at most {allowed:.3g} is rounding); nothing was exported. "
                "A model that draws random numbers when it is called cannot be proven"
            )
    return max(found)


def _mismatch(request: ExportRequest, value: float, count: int, examples: RawExamples) -> ExportError:
    return ExportError(
        f"{request.subject} is not exported: the study recorded "
        f"{request.spec.objective.metric} {request.value!r}, the exported model gives {value!r} on "
        f"{count} {examples.source}. If the trial ran on a GPU, export on a machine with one"
    )
