"""The process that loads a trial's model with the user's code and writes it for everybody else's.

``python -m tuner.champion.exporting LOG`` takes ``{"request": ..., "folder": ..., "workspace": ...}`` and answers with
what it wrote, a ``Written``. Then it may be given outputs for the split that proves it, .npy: ``{"score": [path]}``,
which it answers with the model's own metrics on them, a ``Scored``; or ``{"compare": [path]}``, answered with their
``{"difference"}`` to ``model.keras``. Instead of an answer it may say ``{"refused": reason}``.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.champion.child import Receive, Say, serve
from tuner.champion.record import KERAS_MODEL, SAVED_MODEL
from tuner.champion.request import ExportRequest
from tuner.champion.written import Scored, Written
from tuner.errors import ExportError, TunerError

if TYPE_CHECKING:
    from tuner.data.prepared import PreparedData


def work(receive: Receive, say: Say) -> None:
    """Answers the parent until it has no more questions."""
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
        else:
            say({"difference": export.compare(_opened(message["compare"]))})


def _opened(files: list[str]) -> list[Any]:
    import numpy as np

    return [np.load(file, mmap_mode="r") for file in files]


def reason_of(error: Exception) -> str:
    if isinstance(error, TunerError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the model cannot be written'}: {error.strerror}"
    return _named(error)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"


def prepared_data(request: ExportRequest) -> PreparedData:
    from tuner.data.cache import prepare

    data = prepare(request.spec.data, request.cache)
    if data.fingerprint != request.data_fingerprint:
        raise ExportError(
            f"the data has changed since study {request.study} was run (its fingerprint was "
            f"{request.data_fingerprint[:12]}, now it is {data.fingerprint[:12]}), so the score "
            "cannot be verified: put the data back as it was"
        )
    return data


class _Export:
    """A trial's model, from its file to the exported ones."""

    def __init__(self, request: ExportRequest, data: PreparedData) -> None:
        from tuner.champion.served import served_outputs
        from tuner.champion.subject import find_subject, load_trained
        from tuner.trial.space import labels_of, load_space

        self._request, self._data = request, data
        # The space's module registers the layers that the model may contain.
        space = load_space(request.spec, data.summary())
        trained = load_trained(request.subject, request.checkpoint)
        self._labels = labels_of(space)
        examples = next(iter(self._batches(2)))[0]
        self._subject = find_subject(space, trained, examples)
        targets = data.targets if self._subject.is_trained else ()
        self._served = served_outputs(self._subject.model, self._subject.output, targets)

    def write(self, folder: Path, workspace: Path) -> Written:
        """Writes ``model.keras`` and the SavedModel."""
        from tuner.champion.signatures import write_saved_model
        from tuner.champion.tensors import data_input, own_input

        subject, served = self._subject, self._served
        if subject.takes is None:
            takes = data_input(self._request.spec.data, self._data, served.outputs)
        else:
            takes = own_input(subject.takes, subject.structure, served.outputs)
        write_saved_model(subject.model, takes, served, folder / SAVED_MODEL)
        if subject.is_trained:
            shutil.copyfile(self._request.checkpoint, folder / KERAS_MODEL)
        else:
            subject.model.save(folder / KERAS_MODEL)
        return Written(
            data=self._data.folder,
            input=takes,
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
        from tuner.champion.scoring import compiled_metrics, with_outputs

        size = self._request.evaluation_batch
        batches = with_outputs(self._batches(size), outputs, self._served.structure)
        try:
            return Scored(metrics=compiled_metrics(self._subject.model, batches))
        except Exception as error:
            traceback.print_exc()
            return Scored(metrics={}, failed=_named(error))

    def compare(self, outputs: Sequence[Any]) -> float:
        """The largest difference between outputs and what the model gives for what training saw."""
        from tuner.champion.scoring import largest_difference

        subject, size = self._subject, self._request.evaluation_batch
        if subject.takes is None:
            return largest_difference(subject.model, (x for x, *_ in self._batches(size)), outputs)
        from tuner.data.batches import in_structure

        names = [each.name for each in subject.takes]
        return largest_difference(subject.model, [in_structure(subject.structure, names, subject.drawn)], outputs)

    def _batches(self, size: int) -> Any:
        from tuner.data.batches import BatchFormat, evaluation_batches

        return evaluation_batches(self._data, size, BatchFormat(self._labels), self._request.split)


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
