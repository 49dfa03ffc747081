"""Loads a trial's model with the user's code and writes it for everybody else's, in the process of the models."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.champion.child_process import named_reason
from tuner.champion.messages import (
    Compared,
    CompareOutputs,
    Decoded,
    DecodeImages,
    Scored,
    ScoreOutputs,
    ToExporting,
    WriteExport,
    Written,
)
from tuner.champion.records.champion_json import KERAS_MODEL, SAVED_MODEL
from tuner.champion.records.request import ExportRequest
from tuner.processes.messages import Message

if TYPE_CHECKING:
    from tuner.data.own_arrays import OwnArrays
    from tuner.data.prepared import PreparedData


class WrittenExport:
    """What is asked of one export, from its model's writing on."""

    def __init__(self) -> None:
        self._export: _Export | None = None

    def answer(self, question: ToExporting) -> Message:
        from tuner.champion.model.study_data import prepared_data

        if self._export is None:
            assert isinstance(question, WriteExport)
            self._export = _Export(question.request, prepared_data(question.request))
        match question:
            case WriteExport():
                return self._export.write(question.folder, question.workspace)
            case ScoreOutputs():
                return self._export.score(_opened(question.outputs))
            case CompareOutputs():
                return Compared(differences=self._export.compare(_opened(question.outputs)))
            case DecodeImages():
                return Decoded(images=_decoded(question.files, question.stem))


def _decoded(files: Sequence[str], stem: Path) -> int:
    from tuner.champion.formats.pixels import write_pixels

    return write_pixels(files, stem)


def _opened(files: Sequence[Path]) -> list[Any]:
    import numpy as np

    return [np.load(file, mmap_mode="r") for file in files]


class _Export:
    """A trial's model, from its file to the exported ones."""

    def __init__(self, request: ExportRequest, data: PreparedData) -> None:
        from tuner.champion.model.loaded_model import LoadedExport

        self._request, self._data = request, data
        self._loaded = LoadedExport(request, data)
        self._own: OwnArrays | None = None

    def write(self, folder: Path, workspace: Path) -> Written:
        """Writes ``model.keras`` and the SavedModel."""
        from tuner.champion.model.arithmetic import arithmetic_of
        from tuner.champion.model.kept.kept_file import KeptFile
        from tuner.champion.model.saved_model import write_saved_model
        from tuner.data.own_arrays import own_arrays
        from tuner.data.raw_labels import check_labels

        loaded, served = self._loaded, self._loaded.served
        own = workspace / "own"
        own.mkdir()
        self._own = own_arrays(self._request.spec.data, self._data, self._request.split, own)
        check_labels(self._request.spec.data, self._data, self._request.split, self._own)
        subject = loaded.subject
        write_saved_model(subject.model, loaded.takes, served, folder / SAVED_MODEL)
        kept = loaded.kept.file
        if not subject.is_trained:
            subject.model.save(workspace / KERAS_MODEL)
            kept = KeptFile(workspace / KERAS_MODEL, loaded.kept.users)
        left_out = kept.give_away(folder / KERAS_MODEL)
        named = KeptFile(folder / KERAS_MODEL, loaded.kept.users).named
        return Written(
            data=self._data.folder,
            input=loaded.takes,
            outputs=served.outputs,
            learned=loaded.learned,
            raw_signature=served.raw_signature,
            raw_tensors=served.raw_tensors,
            raw_columns=served.units,
            unscorable=subject.unscorable,
            lost=loaded.kept.without(self._request.spec.objective.metric),
            left_out=tuple(map(str, left_out)),
            needs={reference.saved: found.place for reference, found in named.items()},
            drawn=_written(subject.drawn, workspace),
            arithmetic=arithmetic_of(subject.model),
            own=dict(self._own.inputs) if self._own is not None else None,
            versions=_versions(),
        )

    def score(self, outputs: Sequence[Any]) -> Scored:
        """The model's own metrics on outputs for the split that proves the export, in the order of the served ones."""
        from tuner.champion.model.metrics import compiled_metrics, with_outputs, with_own

        loaded = self._loaded
        size = self._request.evaluation_batch
        evaluation = loaded.batches(size)
        if self._own is not None:
            evaluation = with_own(evaluation, self._own, self._data, loaded.form)
        batches = with_outputs(evaluation, outputs, loaded.served.structure)
        try:
            return Scored(metrics=compiled_metrics(loaded.model, batches, loss=loaded.kept.computes_loss))
        except Exception as error:
            traceback.print_exc()
            return Scored(metrics={}, failed=named_reason(error))

    def compare(self, outputs: Sequence[Any]) -> tuple[float, ...]:
        """The largest difference of each output from what the model gives for what training saw."""
        from tuner.champion.model.metrics import largest_differences

        return largest_differences(self._loaded.model, self._loaded.inputs(self._request.evaluation_batch), outputs)


def _written(drawn: Sequence[Any], workspace: Path) -> tuple[Path, ...]:
    import numpy as np

    files = tuple(workspace / f"drawn-{index}.npy" for index in range(len(drawn)))
    for file, values in zip(files, drawn, strict=True):
        np.save(file, values)
    return files


def _versions() -> dict[str, str]:
    import keras
    import tensorflow as tf

    return {"keras": keras.__version__, "tensorflow": tf.__version__}
