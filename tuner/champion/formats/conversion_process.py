"""The process that converts a trial's model to one other format.

``python -m tuner.champion.formats.conversion_process LOG``; ``messages`` has what it is asked and answers.

Converters change the model that they read, print pages and can take the process with them, so each format has a process
of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.champion.child_process import Say, serve
from tuner.champion.formats.offered import ONNX
from tuner.champion.formats.refusal import FormatRefused
from tuner.champion.messages import TO_CONVERTING, Convert, Converted, ConvertedFile
from tuner.processes.quick_imports import import_keras

if TYPE_CHECKING:
    from tuner.champion.formats.serving_function import ServingFunction
    from tuner.champion.model.loaded_model import LoadedExport

_ONNX_FILE = "model.onnx"
# What an int8 file's ranges are taken from.
_CALIBRATION_BATCHES, _CALIBRATION_BATCH = 8, 32


def work(questions: Iterator[Convert], say: Say) -> None:
    """Answers the parent's one question."""
    import_keras()
    say(_converted(next(questions)))


def _converted(asked: Convert) -> Converted:
    from tuner.champion.model.loaded_model import LoadedExport
    from tuner.champion.model.study_data import prepared_data

    loaded = LoadedExport(asked.request, prepared_data(asked.request))
    convert = _onnx if asked.format == ONNX else _litert
    return convert(loaded, asked.folder)


def _onnx(loaded: LoadedExport, folder: Path) -> Converted:
    from tuner.champion.formats.onnx.model import write_onnx
    from tuner.champion.formats.onnx.pixels import resize_placeholder
    from tuner.champion.formats.serving_function import serving_function

    function = serving_function(loaded, resize_placeholder)
    try:
        write_onnx(loaded.model, function.call, function.specs, folder / _ONNX_FILE)
    except FormatRefused as refused:
        return Converted(files=(_refused(ONNX, refused),))
    written = (ConvertedFile(name=ONNX, file=_ONNX_FILE),)
    return Converted(files=written, takes=function.takes, gives=_gives(loaded, labels=True))


def _litert(loaded: LoadedExport, folder: Path) -> Converted:
    from tuner.champion.formats.litert.model import FILES, FLOAT, write_litert
    from tuner.champion.formats.serving_function import serving_function

    function = serving_function(loaded, labels=False)
    try:
        refused = write_litert(loaded.model, function.call, function.specs, folder, _calibration(loaded, function))
    except FormatRefused as why:
        refused = dict.fromkeys(FILES, why)
    files = [
        _refused(name, refused[name])
        if name in refused
        else ConvertedFile(name=name, file=file, quantised=name != FLOAT)
        for name, file in FILES.items()
    ]
    return Converted(files=tuple(files), takes=function.takes, gives=_gives(loaded, labels=False))


def _refused(name: str, refused: FormatRefused) -> ConvertedFile:
    return ConvertedFile(name=name, refused=refused.reason, alternative=refused.alternative)


def _gives(loaded: LoadedExport, *, labels: bool) -> str:
    from tuner.champion.model.tensors import RAW_OUTPUTS, gives

    served = loaded.served
    outputs = [*served.outputs, *(served.raw if served.raw_signature == RAW_OUTPUTS else ())]
    return gives([each for each in outputs if labels or each.dtype != "string"])


def _calibration(loaded: LoadedExport, function: ServingFunction) -> Sequence[dict[str, Any]]:
    """Batches of training examples by tensor."""
    import itertools

    import numpy as np

    from tuner.data.splits import TRAIN

    batches: Iterator[Any] = loaded.inputs(_CALIBRATION_BATCH)
    if loaded.subject.takes is None:
        batches = (x for x, *_ in loaded.batches(_CALIBRATION_BATCH, TRAIN))
    return [
        {
            spec.name: np.asarray(values).astype(spec.dtype.as_numpy_dtype)
            for spec, values in zip(function.specs, _in_order(loaded, x), strict=True)
        }
        for x in itertools.islice(batches, _CALIBRATION_BATCHES)
    ]


def _in_order(loaded: LoadedExport, x: Any) -> Sequence[Any]:
    """A batch's inputs in the order of the tensors."""
    from tuner.champion.records.champion_json import TensorInput

    if isinstance(x, dict):
        assert isinstance(loaded.takes, TensorInput)
        return [x[each.name] for each in loaded.takes.tensors]
    return x if isinstance(x, tuple) else (x,)


if __name__ == "__main__":
    serve(work, TO_CONVERTING)
