"""Runs an exported model on raw examples in a process that has TensorFlow and nothing of this project.

Run as ``python -I clean_inference.py REQUEST.json``. It imports the standard library, NumPy and
TensorFlow only, and makes importing the project impossible, so that what it computes is what a
user of the exported files computes.

The request, beside ``saved_model``, ``keras_model`` and ``batch_size``:

- ``raw``: the examples as a user has them, a column for each tensor of ``serving_default``: ``{"files": [...]}``, their
  contents, with ``"text": true`` without a byte order mark; ``{"array": file.npy or .npz, "key": ..., "rows":
  file.npy}``; ``{"strings": stem}`` and ``{"codes": file, "vocabulary": file}``, files as ``tuner.data.columns`` writes
  them. Or ``{"csv": file, "delimiter", "rows": file.npy, "columns": {tensor: {"name", "kind"}}}``, which is read here
  with Python's own csv module.
- ``prepared``: what training saw, in the same order, for ``model.keras``: ``structure``, ``names``, ``columns`` and
  ``dtypes``.
- ``outputs``: ``signature`` and ``tensors``, what to compare and to keep, and ``files``, where to write each, .npy.
- ``labels``: the .npy file of the classes, for an accuracy and a confusion matrix; or null.
- ``result``: where to write the answer: ``accuracy``, ``confusion``, ``examples``, ``max_difference``, ``largest``,
  ``seconds``, or ``error``.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import importlib.abc
import json
import os
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

FORBIDDEN = frozenset({"tuner", "storage", "search_spaces"})

# What stands for a missing value in a CSV file's columns of numbers, and in what an integer column is given then.
MISSING_NUMBERS = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "?")
INTEGER_MISSING = -(2**63)

# Gives the values of the examples from one place to another, (n, ...).
Column = Callable[[int, int], Any]


class ProjectGuard(importlib.abc.MetaPathFinder):
    """Refuses to import the project, however it is installed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} must not be needed by an exported model")
        return None


def shut_project_out() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in FORBIDDEN]:
        del sys.modules[name]
    sys.meta_path.insert(0, ProjectGuard())
    sys.path[:] = [entry for entry in sys.path if not _is_project(entry)]


def _is_project(entry: str) -> bool:
    """Whether a folder on the path is the project's source; site-packages has to stay."""
    packages = (os.path.join(entry, name, "__init__.py") for name in FORBIDDEN)
    has_tensorflow = os.path.isdir(os.path.join(entry, "tensorflow"))
    return any(os.path.isfile(package) for package in packages) and not has_tensorflow


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Feeds the examples through the SavedModel and gives what the result file will hold.

    Raises:
        ValueError: what comes out are not numbers, or not probabilities.
        OSError: a file cannot be read or the outputs cannot be written.
    """
    started = time.monotonic()
    examples, confusion = _infer(request)
    outputs = [np.load(file, mmap_mode="r") for file in request["outputs"]["files"]]
    return {
        "accuracy": None if confusion is None else float(np.trace(confusion)) / examples,
        "confusion": None if confusion is None else confusion.tolist(),
        "examples": examples,
        "max_difference": _difference_from_keras_model(request, outputs),
        "largest": max(float(np.abs(each).max(initial=0)) for each in outputs),
        "seconds": time.monotonic() - started,
    }


def _infer(request: dict[str, Any]) -> tuple[int, npt.NDArray[np.int64] | None]:
    """Runs all examples; how many there are, and how many of each class are most probably of which, (label, class)."""
    import tensorflow as tf

    columns, examples = raw_columns(request["raw"])
    loaded = tf.saved_model.load(request["saved_model"])
    serving_default = loaded.signatures["serving_default"]
    kept = request["outputs"]
    signature = loaded.signatures[kept["signature"]]
    writers = [_Writer(file, examples) for file in kept["files"]]
    labels = np.load(request["labels"]) if request["labels"] else None
    confusion = None
    for start in range(0, examples, request["batch_size"]):
        stop = min(start + request["batch_size"], examples)
        given = _given(serving_default, columns, start, stop)
        served = serving_default(**given)
        raw = served if kept["signature"] == "serving_default" else signature(**given)
        for writer, tensor in zip(writers, kept["tensors"], strict=True):
            writer.write(raw[tensor].numpy())
        if "probabilities" in served:
            probabilities = served["probabilities"].numpy()
            _check_probabilities(probabilities)
            if labels is not None:
                count = probabilities.shape[1]
                cells = labels[start:stop].astype(np.int64) * count + probabilities.argmax(axis=1)
                found = np.bincount(cells, minlength=count * count).reshape(count, count)
                confusion = found if confusion is None else confusion + found
    for writer in writers:
        writer.close()
    return examples, confusion


class _Writer:
    """Writes an output's batches to a .npy file as they come."""

    def __init__(self, file: str, examples: int) -> None:
        self._file, self._examples, self._done = file, examples, 0
        self._array: Any = None

    def write(self, values: Any) -> None:
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            raise ValueError("the exported model gives numbers that are not finite")
        if self._array is None:
            shape = (self._examples, *values.shape[1:])
            self._array = np.lib.format.open_memmap(self._file, "w+", values.dtype, shape)
        self._array[self._done : self._done + len(values)] = values
        self._done += len(values)

    def close(self) -> None:
        self._array.flush()


def _given(signature: Any, columns: dict[str, Column], start: int, stop: int) -> dict[str, Any]:
    import tensorflow as tf

    wanted = signature.structured_input_signature[1]
    given = {}
    for tensor, column in columns.items():
        values, dtype = column(start, stop), wanted[tensor].dtype
        if dtype != tf.string:
            values = np.asarray(values).astype(dtype.as_numpy_dtype)
        given[tensor] = tf.constant(values, dtype)
    return given


def raw_columns(described: dict[str, Any]) -> tuple[dict[str, Column], int]:
    """The columns of the examples by tensor, and how many examples there are.

    Raises:
        OSError: a file cannot be read.
        ValueError: a CSV file's cell is no number though its column has numbers.
    """
    if "csv" in described:
        read = read_csv(described)
        return {tensor: _sliced(values) for tensor, values in read.items()}, len(next(iter(read.values())))
    opened = {tensor: open_column(each) for tensor, each in described.items()}
    return {tensor: column for tensor, (column, _) in opened.items()}, next(iter(opened.values()))[1]


def open_column(described: dict[str, Any]) -> tuple[Column, int]:
    """A column and its length."""
    if "files" in described:
        files, mark = described["files"], codecs.BOM_UTF8 if described.get("text") else b""
        return lambda start, stop: [_content(file).removeprefix(mark) for file in files[start:stop]], len(files)
    if "strings" in described:
        content = np.load(described["strings"] + ".npy", mmap_mode="r")
        offsets = np.load(described["strings"] + "-offsets.npy")
        return lambda start, stop: [content[offsets[i] : offsets[i + 1]].tobytes() for i in range(start, stop)], len(
            offsets
        ) - 1
    if "codes" in described:
        codes = np.load(described["codes"], mmap_mode="r")
        with open(described["vocabulary"], encoding="utf-8") as file:
            vocabulary = json.load(file)
        return lambda start, stop: [vocabulary[code] for code in codes[start:stop]], len(codes)
    values = np.load(described["array"], mmap_mode="r", allow_pickle=False)
    values = values[described["key"]] if "key" in described else values
    if "rows" not in described:
        return _sliced(values), len(values)
    rows = np.load(described["rows"])
    return lambda start, stop: values[rows[start:stop]], len(rows)


def _sliced(values: Any) -> Column:
    return lambda start, stop: values[start:stop]


def _content(file: str) -> bytes:
    with open(file, "rb") as source:
        return source.read()


def read_csv(described: dict[str, Any]) -> dict[str, list[Any]]:
    """The cells of the rows asked for, by tensor, as a user reads them."""
    rows = np.load(described["rows"])
    places = {int(row): place for place, row in enumerate(rows)}
    columns = described["columns"]
    read: dict[str, list[Any]] = {tensor: [None] * len(rows) for tensor in columns}
    csv.field_size_limit(2**31 - 1)
    # newline="": line ends inside quotes are the csv module's business.
    opened: Any = gzip.open if described["csv"].lower().endswith(".gz") else open
    with opened(described["csv"], "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = (row for row in csv.reader(file, delimiter=described["delimiter"]) if row)
        header = next(lines)
        cells = [(tensor, header.index(each["name"]), each["kind"]) for tensor, each in columns.items()]
        for number, row in enumerate(lines):
            if (place := places.get(number)) is not None:
                for tensor, index, kind in cells:
                    read[tensor][place] = _cell(row[index], kind)
    return read


def _cell(text: str, kind: str) -> Any:
    if kind not in ("number", "integer"):
        return text.encode("utf-8", "surrogateescape")
    missing = text.strip().lower() in MISSING_NUMBERS
    if kind == "number":
        return float("nan") if missing else float(text)
    # Not through a float, which cannot hold every 64-bit integer.
    return INTEGER_MISSING if missing else int(text.strip().partition(".")[0])


def _check_probabilities(probabilities: npt.NDArray[np.float32]) -> None:
    if not np.isfinite(probabilities).all():
        raise ValueError("the exported model gives numbers that are not finite")
    low, high = float(probabilities.min()), float(probabilities.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"the model's outputs are not probabilities but between {low:.6g} and {high:.6g}: end "
            "it with a softmax or sigmoid, or compile it with a loss that has from_logits=True"
        )


def _difference_from_keras_model(request: dict[str, Any], outputs: list[Any]) -> float | None:
    """The largest absolute difference to model.keras, or None where that needs other code."""
    if needs_custom_objects(request["keras_model"]):
        return None
    import keras

    model = keras.saving.load_model(request["keras_model"], compile=False)
    prepared = request["prepared"]
    columns = [open_column(each)[0] for each in prepared["columns"]]
    largest, size = 0.0, request["batch_size"]
    for start in range(0, len(outputs[0]), size):
        stop = min(start + size, len(outputs[0]))
        given = keras.tree.flatten(model.predict_on_batch(_prepared_batch(prepared, columns, start, stop)))
        for mine, kept in zip(given, outputs, strict=True):
            wide = np.result_type(kept.dtype, np.float32)
            difference = np.abs(np.asarray(mine).astype(wide) - kept[start:stop].astype(wide))
            largest = max(largest, float(difference.max(initial=0)))
    return largest


def _prepared_batch(prepared: dict[str, Any], columns: list[Column], start: int, stop: int) -> Any:
    import tensorflow as tf

    tensors = []
    for column, dtype in zip(columns, prepared["dtypes"], strict=True):
        values = column(start, stop)
        tensors.append(tf.constant(values if dtype == "string" else np.asarray(values).astype(dtype)))
    if prepared["structure"] == "single":
        return tensors[0]
    return tuple(tensors) if prepared["structure"] == "tuple" else dict(zip(prepared["names"], tensors, strict=True))


def needs_custom_objects(path: str) -> bool:
    """Whether a .keras file names classes or functions that Keras does not have."""
    config = configuration(path)
    config.pop("compile_config", None)
    return next(custom_objects(config), None) is not None


def configuration(path: str) -> dict[str, Any]:
    """What a .keras file says about its model."""
    with zipfile.ZipFile(path) as archive:
        found: dict[str, Any] = json.loads(archive.read("config.json"))
    return found


def custom_objects(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The classes and functions in a configuration that are not Keras's own."""
    return (item for item in _mappings(config) if _is_custom(item))


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping inside JSON data."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _mappings(item)


def _is_custom(item: dict[str, Any]) -> bool:
    # Keras's own objects name their module; registered ones have none, registered functions have
    # "builtins", others the module of their author.
    if item.get("class_name") == "__lambda__":
        return True
    if not {"class_name", "config", "module"} <= item.keys():
        return False
    return (item["module"] or "").partition(".")[0] != "keras"


def main() -> None:
    shut_project_out()
    with open(sys.argv[1], encoding="ascii") as file:
        request = json.load(file)
    try:
        result = run(request)
    except Exception as error:
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"}
    with open(request["result"], "w", encoding="ascii") as file:
        json.dump(result, file)
    sys.stdout.flush()
    sys.stderr.flush()
    # Tearing TensorFlow down can hang; the result is on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
