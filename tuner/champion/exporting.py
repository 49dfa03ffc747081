"""The process that loads a trial's model with the user's code and writes it for everybody else's.

``python -m tuner.champion.exporting LOG`` takes ``{"request": ..., "folder": ...}`` and answers with
the prepared data's folder and the versions; then it may be asked for ``{"outputs": path}``, outputs
for the validation split, and answers with the model's own metrics on them. Instead of an answer it
may say ``{"refused": reason}``.
"""

from __future__ import annotations

import os
import shutil
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.champion.child import Receive, Say, serve
from tuner.champion.record import KERAS_MODEL, SAVED_MODEL
from tuner.champion.request import ExportRequest
from tuner.errors import ExportError, TunerError

if TYPE_CHECKING:
    import keras
    import keras_tuner

    from tuner.data.prepared import PreparedData


def work(receive: Receive, say: Say) -> None:
    """Answers the parent until it has no more questions."""
    try:
        _work(receive, say)
    except Exception as error:
        traceback.print_exc()
        say({"refused": _reason(error)})


def _work(receive: Receive, say: Say) -> None:
    message = receive()
    assert message is not None
    request = ExportRequest.model_validate(message["request"])
    data = _prepared_data(request)
    space, model = _load(request, data)
    _write(model, request, data, Path(message["folder"]))
    say({"data": os.fspath(data.folder), "versions": _versions()})
    while (message := receive()) is not None:
        say({"metrics": _metrics(model, space, request, data, Path(message["outputs"]))})


def _reason(error: Exception) -> str:
    if isinstance(error, TunerError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the model cannot be written'}: {error.strerror}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"


def _prepared_data(request: ExportRequest) -> PreparedData:
    from tuner.data.cache import prepare

    data = prepare(request.spec.data, request.cache)
    if data.fingerprint != request.data_fingerprint:
        raise ExportError(
            f"the data has changed since study {request.study} was run (its fingerprint was "
            f"{request.data_fingerprint[:12]}, now it is {data.fingerprint[:12]}), so the score "
            "cannot be verified: put the data back as it was"
        )
    return data


def _load(request: ExportRequest, data: PreparedData) -> tuple[keras_tuner.HyperModel, keras.Model]:
    import keras

    from tuner.trial.space import load_space

    # The space's module registers the layers that the model may contain.
    space = load_space(request.spec, data.summary())
    try:
        return space, keras.saving.load_model(request.checkpoint)
    except Exception as error:
        text = " ".join(str(error).split())[:1000]
        raise ExportError(
            f"the model of trial {request.trial}, {request.checkpoint}, cannot be loaded: "
            f"{type(error).__name__}: {text}. Classes and functions of your own need "
            "@keras.saving.register_keras_serializable() at the top of the space's module; "
            "Lambda layers cannot be exported"
        ) from error


def _write(model: keras.Model, request: ExportRequest, data: PreparedData, folder: Path) -> None:
    from tuner.champion.probabilities import output_meaning
    from tuner.champion.signatures import write_saved_model

    if not model.compiled:
        raise ExportError(f"the model of trial {request.trial} was saved without its compilation")
    height, width, channels = data.input_shape
    meaning = output_meaning(model, data.input_shape, len(data.class_names))
    write_saved_model(model, meaning, (height, width), channels, folder / SAVED_MODEL)
    shutil.copyfile(request.checkpoint, folder / KERAS_MODEL)


def _versions() -> dict[str, str]:
    import keras
    import tensorflow as tf

    return {"keras": keras.__version__, "tensorflow": tf.__version__}


def _metrics(
    model: keras.Model,
    space: keras_tuner.HyperModel,
    request: ExportRequest,
    data: PreparedData,
    outputs: Path,
) -> dict[str, Any]:
    import numpy as np

    from tuner.champion.scoring import compiled_metrics
    from tuner.data.splits import VALIDATION
    from tuner.trial.space import labels_of

    labels: Any = data.split(VALIDATION).targets[0]
    if labels_of(space) == "one_hot":
        labels = np.eye(len(data.class_names), dtype=np.float32)[labels]
    return compiled_metrics(model, np.load(outputs), labels, request.evaluation_batch)


if __name__ == "__main__":
    serve(work)
