"""LiteRT files: raw tensors in, numbers out, in LiteRT's plain runtime. TensorFlow's own ops are never part of them."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tuner.champion.formats.litert.float16 import with_half_weights
from tuner.champion.formats.litert.layers import litert_ops
from tuner.champion.formats.refusal import FormatRefused

FLOAT, FLOAT16, INT8 = "litert", "litert_float16", "litert_int8"
FILES = {FLOAT: "model.tflite", FLOAT16: "model-float16.tflite", INT8: "model-int8.tflite"}
SIGNATURE = "serving_default"

Call = Callable[..., dict[str, tf.Tensor]]
Batch = dict[str, npt.NDArray[Any]]

_PLAIN = tf.lite.OpsSet.TFLITE_BUILTINS
_INTEGER = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
# Between an example alone and among others. A batch that is fixed, or that examples share, shows as far more.
_TOLERANCE = 1e-3
# Of a number, what 8 bits may be off by in any case.
_STEP = 0.01
# Examples from which an int8 file learns the ranges of numbers, slowly; more make no difference.
_CALIBRATED = 200
# Examples; more than kernels handle at once.
_TRIED = 33
_LONGEST_REASON = 200
_ALTERNATIVE = "use saved_model"


@dataclass(frozen=True)
class _Quantised:
    """What a quantised file is held to: what it gives in float32, and the type of some of what it holds."""

    exact: Batch
    dtype: type[np.generic]


def write_litert(
    model: keras.Model,
    call: Call,
    specs: Sequence[tf.TensorSpec],
    folder: Path,
    representative: Sequence[Batch],
) -> dict[str, FormatRefused]:
    """Writes ``FILES``, each with one signature, ``serving_default``, and a free batch dimension.

    Inputs and outputs have the same names, dtypes and shapes in all of them. Of float16, weights have 16 bits. Of int8,
    where every input is an array (images, windows), weights and activations have 8; where one is a number or category
    for each example, as of a table, weights only: columns of different units would not survive in 256 steps of one
    unit, and a missing number not at all.

    Args:
        model: what ``call`` calls, with ``training=False``.
        call: from raw tensors, in the order of ``specs``, to numbers by name, each (batch, ...).
        specs: named; the first dimension is None, the others are known.
        representative: at least one batch of training inputs by their specs' names, each of the specs' dtypes
            (strings: object). The first 200 examples are used.

    Returns:
        Why a quantised file was not written, by its format.

    Raises:
        FormatRefused: none can be written, for example for want of an op, since the model is only right for one batch
            size, or since the runtime is not installed.
        OSError: the folder cannot be written.
    """
    if find_spec("ai_edge_litert") is None:
        raise FormatRefused(
            "LiteRT's runtime is missing; it is needed to test the file",
            "pip install 'keras-champion[litert]'",
        )
    examples = _first(representative[0], _TRIED)
    exact_file = folder / FILES[FLOAT]
    with tempfile.TemporaryDirectory() as saved:
        with _refusing():
            _write_saved_model(model, call, specs, saved)
        exact = _write(_converter(saved).convert, exact_file, examples)
        quantised: dict[str, tuple[Callable[[], bytes], _Quantised]] = {
            FLOAT16: (lambda: with_half_weights(exact_file.read_bytes()), _Quantised(exact, np.float16)),
            INT8: (_int8_converter(saved, specs, representative).convert, _Quantised(exact, np.int8)),
        }
        refused = {}
        for name, (make, wanted) in quantised.items():
            try:
                _write(make, folder / FILES[name], examples, wanted)
            except FormatRefused as refusal:
                refused[name] = FormatRefused(refusal.reason, f"use {FILES[FLOAT]}, which is in float32")
    return refused


def _write_saved_model(model: keras.Model, call: Call, specs: Sequence[tf.TensorSpec], folder: str) -> None:
    """A SavedModel, since only from one does the converter take lookup tables."""
    module = tf.Module()
    with litert_ops(model) as tables:
        module.kept = [variable.value for variable in model.variables], tables
        traced = tf.function(call, input_signature=list(specs)).get_concrete_function()
        tf.saved_model.save(module, folder, signatures={SIGNATURE: traced})


def _converter(saved: str) -> Any:
    converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=[SIGNATURE])
    converter.target_spec.supported_ops = [_PLAIN]
    return converter


def _int8_converter(saved: str, specs: Sequence[tf.TensorSpec], representative: Sequence[Batch]) -> Any:
    converter = _converter(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if all(spec.shape.rank > 1 for spec in specs):
        converter.target_spec.supported_ops = [_INTEGER, _PLAIN]
        converter.representative_dataset = lambda: _examples(representative)
    return converter


def _examples(batches: Sequence[Batch]) -> Iterator[Batch]:
    """One by one: the converter takes batches of one size only."""
    rows = ((batch, row) for batch in batches for row in range(_length(batch)))
    for batch, row in itertools.islice(rows, _CALIBRATED):
        yield _some(batch, [row])


def _length(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _some(batch: Batch, rows: Sequence[int]) -> Batch:
    return {name: values[list(rows)] for name, values in batch.items()}


def _first(batch: Batch, count: int) -> Batch:
    """So many examples, over and over where there are fewer."""
    return _some(batch, [index % _length(batch) for index in range(count)])


def _write(make: Callable[[], bytes], file: Path, examples: Batch, quantised: _Quantised | None = None) -> Batch:
    """Writes a file that has been run, or none; gives what it gives for the examples.

    Args:
        make: gives the file's content.
    """
    with _refusing():
        content = make()
    partial = file.with_name(f"{file.name}.partial")
    try:
        partial.write_bytes(content)
        with _refusing():
            found = _tried(partial, examples, quantised)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    return found


def _tried(file: Path, examples: Batch, quantised: _Quantised | None) -> Batch:
    """What a file gives for examples, one by one and together.

    Raises:
        FormatRefused: it is not finite, or depends on the batch, or the file is not well quantised.
        ValueError, RuntimeError: the file cannot be loaded or run.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=os.fspath(file))
    if quantised is not None and all(each["dtype"] != quantised.dtype for each in interpreter.get_tensor_details()):
        raise FormatRefused(f"no layer has enough weights to be worth {quantised.dtype.__name__}", _ALTERNATIVE)
    run = interpreter.get_signature_runner(SIGNATURE)
    alone = [run(**_some(examples, [row])) for row in range(_length(examples))]
    together: Batch = run(**examples)
    for name, values in together.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise FormatRefused(f"it gives numbers in {name} that are not finite", _ALTERNATIVE)
        expected = np.concatenate([each[name] for each in alone])
        if expected.shape != values.shape or not np.allclose(values, expected, _TOLERANCE, _TOLERANCE):
            raise FormatRefused(f"the output {name} for an example changes with the size of the batch", _ALTERNATIVE)
    if quantised is not None:
        _check_quantised(together, quantised.exact)
    return together


def _check_quantised(found: Batch, exact: Batch) -> None:
    """Refuses a file whose numbers are off by half of what the examples' own differ by: it says little of them.

    That is what becomes of a range that has no place in the narrower type. Where a model gives nearly the same for all
    examples, the narrower type's steps may be as large.
    """
    for name, values in exact.items():
        values = values.astype(np.float64)
        off = np.abs(found[name] - values).mean()
        spread = np.abs(values - values.mean(axis=0)).mean()
        if off > max(spread / 2, _STEP * np.abs(values).mean()):
            raise FormatRefused(
                f"quantised, {name} is off by {off:.3g} on average, where the examples' own differ by {spread:.3g}",
                _ALTERNATIVE,
            )


@contextmanager
def _refusing() -> Iterator[None]:
    """Makes of whatever TensorFlow and the runtime raise a refusal."""
    try:
        yield
    except (FormatRefused, OSError, MemoryError):
        raise
    except Exception as error:
        raise FormatRefused(_reason(str(error)), _ALTERNATIVE) from error


def _reason(message: str) -> str:
    """One line out of the converter's pages."""
    lacking = sorted(set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", message)))
    if lacking:
        return f"LiteRT has no op for TensorFlow's {', '.join(lacking)}"
    lines = [line for line in (re.sub(r"\x1b\[\d*m", "", each).strip() for each in message.splitlines()) if line]
    # What is raised while a model is traced stands below where that was.
    raised = [place for place, line in enumerate(lines) if re.match(r"\w+(Error|Exception): ", line)]
    line = " ".join(lines[raised[-1] :] if raised else lines[:1]) or "no reason was given"
    return f"LiteRT cannot represent it: {line[:_LONGEST_REASON]}"
