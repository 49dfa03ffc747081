"""Judges converted files: their outputs for raw examples, in processes without TensorFlow, beside the SavedModel's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tuner.champion.formats.offered import KERAS, ONNX, SAVED_MODEL
from tuner.champion.messages import Converted, ConvertedFile
from tuner.champion.model.tensors import IMAGE_BYTES, PROBABILITIES, SERVING, gives
from tuner.champion.proof.clean_runs import (
    TRAINING,
    CleanOutputs,
    CleanRun,
    NotRun,
    differences,
    largest,
    run_clean,
    serving,
)
from tuner.champion.proof.examples import prepared
from tuner.champion.proof.verification import Exported, Proof
from tuner.champion.records.champion_json import KERAS_MODEL, ImageInput, files_under
from tuner.champion.records.champion_json import SAVED_MODEL as SAVED_MODEL_FOLDER
from tuner.champion.records.format_report import FormatReport
from tuner.errors import ExportError

# Other kernels add in another order, and of images they round some pixels to the next of 256 levels; a wrong conversion
# (other pixels, another token) differs by 0.01 and more. Of outputs that are no probabilities, this is the share of the
# largest one.
_MAX_DIFFERENCE = 1e-3
# The SavedModel's and the converted file's.
_COMPUTATIONS = 2
# One example's most probable class may turn where two were equally probable.
_TURNED_EXAMPLES = 1
_IMAGES = "images"
ALTERNATIVE = f"use {SAVED_MODEL}, which is proven"


class Decoder(Protocol):
    """The exporting process, which decodes images as the SavedModel does."""

    def decode(self, files: Sequence[str], stem: Path) -> int:
        """Writes the pixels of the first files to ``stem``; how many files those were."""


@dataclass(frozen=True)
class FormatProof:
    """What converted files are held to.

    Attributes:
        built: the export, with the files in it.
        log: receives what the clean processes print.
    """

    exported: Exported
    proof: Proof
    decoder: Decoder
    built: Path
    workspace: Path
    log: Path

    def own(self) -> tuple[FormatReport, FormatReport]:
        """The reports on Keras's own files, which were proven with the export."""
        written, proof, verification = self.exported.written, self.proof, self.proof.verification
        served = SERVING if SERVING in written.input.signatures else next(iter(written.input.signatures))
        words = dict(written.input.signatures[served])
        saved_model = FormatReport(
            name=SAVED_MODEL,
            file=SAVED_MODEL_FOLDER,
            bytes=_bytes(self.built / SAVED_MODEL_FOLDER),
            gives=words.pop("gives", ""),
            takes=words,
            value=verification.value,
            verified=verification.verified,
            max_difference=0.0,
            latency_ms=proof.saved_model.timing.latency_ms,
            per_second=proof.saved_model.timing.per_second,
        )
        return self._keras(words), saved_model

    def _keras(self, words: dict[str, str]) -> FormatReport:
        exported, proof = self.exported, self.proof
        takes = exported.written.input
        if isinstance(takes, ImageInput):
            (height, width), channels = takes.image_size, takes.channels
            words = {_IMAGES: f"float32 (batch, {height}, {width}, {channels}): pixels in [0, 255] of resized images"}
        raw = [each for each in exported.written.outputs if each.tensor in exported.written.raw_tensors]
        score = None if proof.keras is None else exported.score(proof.keras).value
        return FormatReport(
            name=KERAS,
            file=KERAS_MODEL,
            bytes=_bytes(self.built / KERAS_MODEL),
            takes=words,
            needs=exported.written.needs,
            left_out=exported.written.left_out,
            gives=gives(raw) or "the model's own outputs",
            value=score,
            verified=score is not None and abs(score - exported.request.value) <= exported.tolerance,
            max_difference=proof.verification.max_difference,
            latency_ms=proof.keras and proof.keras.timing.latency_ms,
            per_second=proof.keras and proof.keras.timing.per_second,
        )

    def reports(self, name: str, converted: Converted) -> list[FormatReport]:
        """The reports on a format's files; those that do not give what they should are removed."""
        written = [each for each in converted.files if each.file is not None]
        outputs: Mapping[str, CleanOutputs | NotRun] = {}
        try:
            outputs = self._outputs(name, written) if written else {}
        except ExportError as error:
            # A runtime that dies takes the process with it, and what its other files gave.
            outputs = {each.name: NotRun(str(error), failed=True) for each in written}
        return [self._report(each, converted, outputs.get(each.name)) for each in converted.files]

    def _outputs(self, name: str, written: Sequence[ConvertedFile]) -> Mapping[str, CleanOutputs | NotRun]:
        runtime = "onnx" if name == ONNX else "litert"
        keep = serving(self._compared)

        def run(columns: Mapping[str, Any], place: Path) -> dict[str, CleanOutputs | NotRun]:
            runs = [
                CleanRun(each.name, runtime, self.built / (each.file or ""), columns, keep)  # type: ignore[arg-type]
                for each in written
            ]
            place.mkdir(exist_ok=True)
            return run_clean(runs, self.exported.request.evaluation_batch, TRAINING, place, self.log)

        place = self.workspace / name
        if name == ONNX and isinstance(self.exported.written.input, ImageInput):
            return _joined([run(columns, Path(f"{place}-{part}")) for part, columns in enumerate(self._pixels())])
        return run(self._columns, place)

    @property
    def _columns(self) -> Mapping[str, Any]:
        exported = self.exported
        if isinstance(exported.written.input, ImageInput):
            return {_IMAGES: prepared(exported.data, exported.request.split, exported.written.input)[0]}
        return self.proof.examples.columns

    def _pixels(self) -> Iterator[Mapping[str, Any]]:
        files: list[str] = self.proof.examples.columns[IMAGE_BYTES]["files"]
        stem = self.workspace / "pixels"
        while files:
            files = files[self.decoder.decode(files, stem) :]
            yield {_IMAGES: {"pixels": os.fspath(stem)}}

    @property
    def _compared(self) -> tuple[str, ...]:
        """The numbers that every file gives, and the model's own outputs."""
        written = self.exported.written
        served = (PROBABILITIES,) if written.outputs[0].tensor == PROBABILITIES else ()
        return tuple(dict.fromkeys((*written.raw_tensors, *served)))

    def _report(self, file: ConvertedFile, converted: Converted, outputs: CleanOutputs | NotRun | None) -> FormatReport:
        if file.file is None:
            return FormatReport(name=file.name, refused=file.refused, alternative=file.alternative)
        assert outputs is not None
        if isinstance(outputs, NotRun):
            return self._removed(file, f"its runtime cannot run it: {outputs.reason}")
        try:
            found = differences(self.proof.saved_model, outputs, self._compared)
        except ExportError as error:
            return self._removed(file, str(error))
        if not file.quantised and (reason := self._other_than_rounding(found)):
            return self._removed(file, reason)
        value = self.exported.score(outputs).value
        near = value is not None and self._is_near(value, outputs.examples)
        if value is not None and not (file.quantised or near):
            recorded = self.exported.request.value
            return self._removed(file, f"it scores {value!r} where the study recorded {recorded!r}")
        return FormatReport(
            name=file.name,
            file=file.file,
            bytes=_bytes(self.built / file.file),
            takes=converted.takes,
            gives=converted.gives,
            value=value,
            verified=near,
            cost=self._cost(value) if file.quantised else None,
            max_difference=max(found),
            latency_ms=outputs.timing.latency_ms,
            per_second=outputs.timing.per_second,
        )

    def _other_than_rounding(self, found: Sequence[float]) -> str | None:
        for tensor, each in zip(self._compared, found, strict=True):
            allowed = self._allowed(tensor)
            if not each <= allowed:
                return f"its outputs differ from the SavedModel's by {each:.3g} (at most {allowed:.3g} is rounding)"
        return None

    def _allowed(self, tensor: str) -> float:
        proven = self.proof.saved_model
        most = _MAX_DIFFERENCE * max(1.0, largest(proven.arrays[tensor]))
        if isinstance(self.exported.written.input, ImageInput):
            return most
        return min(most, _COMPUTATIONS * self.exported.rounding(proven, tensor))

    def _removed(self, file: ConvertedFile, reason: str) -> FormatReport:
        assert file.file is not None
        (self.built / file.file).unlink()
        return FormatReport(name=file.name, refused=reason, alternative=ALTERNATIVE)

    def _is_near(self, value: float, examples: int) -> bool:
        recorded = self.exported.request.value
        rounding = _MAX_DIFFERENCE * max(1.0, abs(recorded))
        return abs(value - recorded) <= max(rounding, _TURNED_EXAMPLES / examples) + self.exported.tolerance

    def _cost(self, value: float | None) -> float | None:
        proven = self.proof.verification.value
        if value is None or proven is None:
            return None
        worse = proven - value if self.exported.request.spec.objective.direction == "maximize" else value - proven
        return worse + 0.0


def _joined(parts: Sequence[Mapping[str, CleanOutputs | NotRun]]) -> dict[str, CleanOutputs | NotRun]:
    """One file's outputs for all of the pieces that the examples came in."""
    return {name: _joined_outputs([part[name] for part in parts]) for name in parts[0]}


def _joined_outputs(parts: Sequence[CleanOutputs | NotRun]) -> CleanOutputs | NotRun:
    run = []
    for part in parts:
        if isinstance(part, NotRun):
            return part
        run.append(part)
    arrays = {tensor: np.concatenate([part.arrays[tensor] for part in run]) for tensor in run[0].arrays}
    files = {tensor: file.with_suffix(".all.npy") for tensor, file in run[0].files.items()}
    for tensor, values in arrays.items():
        np.save(files[tensor], values)
    return CleanOutputs(
        files=files,
        examples=sum(part.examples for part in run),
        seconds=sum(part.seconds for part in run),
        timing=run[0].timing,
    )


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in (files_under(path) if path.is_dir() else [path]))
