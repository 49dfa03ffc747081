"""The process that loads a trial's model with the user's code and writes it for everybody else's.

``python -m tuner.champion.export.export_process LOG``
takes ``{"request": ..., "folder": ..., "workspace": ...}`` and answers with
what it wrote, a ``Written``. Then it may be given outputs for the split that proves it, .npy: ``{"score": [path]}``,
which it answers with the model's own metrics on them, a ``Scored``; ``{"compare": [path]}``, answered with their
``{"difference"}`` to ``model.keras``; or ``{"decode": [image file], "stem": path}``, answered with how many of their
``{"images"}`` were written as pixels. Instead of an answer it may say ``{"refused": reason}``.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.champion.child import Receive, Say, serve
from tuner.champion.model.opened import named_reason, prepared_data, reason_of
from tuner.champion.records.champion_json import KERAS_MODEL, SAVED_MODEL
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.written import Scored, Written
from tuner.processes.quick_imports import import_keras

if TYPE_CHECKING:
    from tuner.data.prepared import PreparedData


def work(receive: Receive, say: Say) -> None:
    """Answers the parent until it has no more questions."""
    import_keras()
    try:
        _work(receive, say)
    except Exception as error:
        traceback.print_exc()
        say({"refused": reason_of(error)})


def _work(receive: Receive, say: Say) -> None:
    message = receive()
    assert message is not None
    request = ExportRequest.model_validate(message["request"])
    data = prepared_data(request)
    export = _Export(request, data)
    written = export.write(Path(message["folder"]), Path(message["workspace"]))
    say(written.model_dump(mode="json"))
    while (message := receive()) is not None:
        if "score" in message:
            say(export.score(_opened(message["score"])).model_dump())
        elif "compare" in message:
            say({"difference": export.compare(_opened(message["compare"]))})
        else:
            say({"images": _decoded(message["decode"], Path(message["stem"]))})


def _decoded(files: list[str], stem: Path) -> int:
    from tuner.champion.formats.pixels import write_pixels

    return write_pixels(files, stem)


def _opened(files: list[str]) -> list[Any]:
    import numpy as np

    return [np.load(file, mmap_mode="r") for file in files]


class _Export:
    """A trial's model, from its file to the exported ones."""

    def __init__(self, request: ExportRequest, data: PreparedData) -> None:
        from tuner.champion.model.loaded import LoadedExport

        self._request, self._data = request, data
        self._loaded = LoadedExport(request, data)

    def write(self, folder: Path, workspace: Path) -> Written:
        """Writes ``model.keras`` and the SavedModel."""
        from tuner.champion.model.signatures import write_saved_model

        loaded, served = self._loaded, self._loaded.served
        subject = loaded.subject
        write_saved_model(subject.model, loaded.takes, served, folder / SAVED_MODEL)
        if subject.is_trained:
            shutil.copyfile(self._request.checkpoint, folder / KERAS_MODEL)
        else:
            subject.model.save(folder / KERAS_MODEL)
        return Written(
            data=self._data.folder,
            input=loaded.takes,
            outputs=served.outputs,
            raw_signature=served.raw_signature,
            raw_tensors=served.raw_tensors,
            raw_columns=served.units,
            unscorable=subject.unscorable,
            drawn=_written(subject.drawn, workspace),
            versions=_versions(),
        )

    def score(self, outputs: Sequence[Any]) -> Scored:
        """The model's own metrics on outputs for the split that proves the export, in the order of the served ones."""
        from tuner.champion.model.metrics import compiled_metrics, with_outputs

        loaded = self._loaded
        batches = with_outputs(loaded.batches(self._request.evaluation_batch), outputs, loaded.served.structure)
        try:
            return Scored(metrics=compiled_metrics(loaded.model, batches))
        except Exception as error:
            traceback.print_exc()
            return Scored(metrics={}, failed=named_reason(error))

    def compare(self, outputs: Sequence[Any]) -> float:
        """The largest difference between outputs and what the model gives for what training saw."""
        from tuner.champion.model.metrics import largest_difference

        return largest_difference(self._loaded.model, self._loaded.inputs(self._request.evaluation_batch), outputs)


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


if __name__ == "__main__":
    serve(work)
