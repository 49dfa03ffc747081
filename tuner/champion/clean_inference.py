"""Runs an exported model on raw files in a process that has TensorFlow and nothing of this project.

Run as ``python -I clean_inference.py REQUEST.json``. It imports the standard library, NumPy and
TensorFlow only, and makes importing the project impossible, so that what it computes is what a
user of the exported files computes.

The request: ``saved_model``, ``keras_model``; ``files`` and ``labels`` of the examples; ``images``,
the .npy file of the pixels that training saw, in the same order; ``batch_size``; ``outputs``, where
to write what the model gave, float32 (examples, units), .npy; ``result``, where to write the answer:
``accuracy``, ``examples``, ``columns``, ``max_difference``, ``seconds``, or ``error``.
"""

from __future__ import annotations

import importlib.abc
import json
import os
import sys
import time
import traceback
import zipfile
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

FORBIDDEN = frozenset({"tuner", "storage", "search_spaces"})

Numbers = npt.NDArray[np.float32]


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
    """Feeds the files through the SavedModel and gives what the result file will hold.

    Raises:
        ValueError: what comes out are not probabilities.
        OSError: a file cannot be read or the outputs cannot be written.
    """
    started = time.monotonic()
    probabilities, outputs = _infer(request["saved_model"], request["files"], request["batch_size"])
    _check_probabilities(probabilities)
    np.save(request["outputs"], outputs)
    right = int(np.sum(probabilities.argmax(axis=1) == np.asarray(request["labels"])))
    return {
        "accuracy": right / len(probabilities),
        "examples": len(probabilities),
        "columns": int(outputs.shape[1]),
        "max_difference": _difference_from_keras_model(request, outputs),
        "seconds": time.monotonic() - started,
    }


def _infer(saved_model: str, files: list[str], batch_size: int) -> tuple[Numbers, Numbers]:
    """Probabilities (examples, classes), and the model's own outputs where these are others."""
    import tensorflow as tf

    loaded = tf.saved_model.load(saved_model)
    serving_default = loaded.signatures["serving_default"]
    raw = loaded.signatures.get("outputs")
    probabilities, outputs = [], []
    for start in range(0, len(files), batch_size):
        batch = tf.constant([_content(file) for file in files[start : start + batch_size]])
        served = serving_default(image_bytes=batch)["probabilities"]
        probabilities.append(served.numpy())
        outputs.append((raw(image_bytes=batch)["outputs"] if raw else served).numpy())
    return np.concatenate(probabilities), np.concatenate(outputs)


def _content(file: str) -> bytes:
    with open(file, "rb") as source:
        return source.read()


def _check_probabilities(probabilities: Numbers) -> None:
    if not np.isfinite(probabilities).all():
        raise ValueError("the exported model gives numbers that are not finite")
    low, high = float(probabilities.min()), float(probabilities.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"the model's outputs are not probabilities but between {low:.6g} and {high:.6g}: end "
            "it with a softmax or sigmoid, or compile it with a loss that has from_logits=True"
        )


def _difference_from_keras_model(request: dict[str, Any], outputs: Numbers) -> float | None:
    """The largest absolute difference to model.keras, or None where that needs other code."""
    if needs_custom_objects(request["keras_model"]):
        return None
    import keras

    model = keras.saving.load_model(request["keras_model"], compile=False)
    images = np.load(request["images"], mmap_mode="r")
    largest, size = 0.0, request["batch_size"]
    for start in range(0, len(images), size):
        batch = np.asarray(images[start : start + size], dtype=np.float32)
        given = np.asarray(model.predict_on_batch(batch), dtype=np.float32)
        largest = max(largest, float(np.abs(given - outputs[start : start + size]).max()))
    return largest


def needs_custom_objects(path: str) -> bool:
    """Whether a .keras file names classes or functions that Keras does not have."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config.pop("compile_config", None)
    return any(_is_custom(item) for item in _mappings(config))


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
