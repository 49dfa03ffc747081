"""The runtimes of exported files: each is called with a batch's columns and gives the outputs asked for, in order."""

from __future__ import annotations

import gc
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .images import decoded
from .keras_file import needs_custom_objects

# The signatures of a SavedModel of images, and what the first one takes.
_SERVING, _PIXELS, _IMAGE_BYTES = "serving_default", "pixels", "image_bytes"
# Of images at a time.
_DECODED_BYTES = 2**26

Outputs = list[Any]
Runtime = Callable[[dict[str, Any]], Outputs]


class Skipped(Exception):
    """A file that cannot be run here, though nothing is wrong with it."""


def open_runtime(run: dict[str, Any]) -> Runtime:
    """The runtime of a run's file.

    Raises:
        Skipped: it cannot be run without the code of its user.
        Exception: whatever the runtime raises for a file that it cannot load.
    """
    # A runtime is imported with its first file; the garbage collector would look at all of it, and find nothing.
    gc.disable()
    try:
        opened: Runtime = _RUNTIMES[run["runtime"]](run)
    finally:
        gc.enable()
    return opened


class _SavedModel:
    def __init__(self, run: dict[str, Any]) -> None:
        import tensorflow as tf

        # The signatures do not keep the model alive.
        self._loaded = tf.saved_model.load(run["path"])
        self._takes = self._loaded.signatures[_SERVING].structured_input_signature[1]
        self._keep = [(each["signature"], each["tensor"]) for each in run["keep"]]

    def __call__(self, columns: dict[str, Any]) -> Outputs:
        given = {tensor: self._tensor(tensor, values) for tensor, values in columns.items()}
        signatures = dict.fromkeys(signature for signature, _ in self._keep)
        found = {signature: self._outputs(signature, given, columns) for signature in signatures}
        return [found[signature][tensor] for signature, tensor in self._keep]

    def served(self, columns: dict[str, Any]) -> None:
        """What users call, alone."""
        self._outputs(_SERVING, {tensor: self._tensor(tensor, values) for tensor, values in columns.items()}, columns)

    def _outputs(self, signature: str, given: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
        called = self._loaded.signatures[signature]
        if signature == _PIXELS:
            return _by_pixels(lambda images: _arrays(called(images=images)), columns[_IMAGE_BYTES])
        return _arrays(called(**given))

    def _tensor(self, tensor: str, values: Any) -> Any:
        import tensorflow as tf

        dtype = self._takes[tensor].dtype
        return tf.constant(values if dtype == tf.string else np.asarray(values).astype(dtype.as_numpy_dtype), dtype)


def _arrays(outputs: dict[str, Any]) -> dict[str, Any]:
    return {tensor: values.numpy() for tensor, values in outputs.items()}


def _by_pixels(called: Callable[[Any], dict[str, Any]], files: Sequence[bytes]) -> dict[str, Any]:
    """The outputs for images, as many at a time as there is memory for: decoded, they are many times as large."""
    parts: list[dict[str, Any]] = []
    images: list[Any] = []
    for content in files:
        images.append(decoded(content))
        if sum(each.nbytes for each in images) > _DECODED_BYTES:
            parts.append(_by_size(called, images))
            images = []
    if images:
        parts.append(_by_size(called, images))
    return {tensor: np.concatenate([part[tensor] for part in parts]) for tensor in parts[0]}


def _by_size(called: Callable[[Any], dict[str, Any]], images: Sequence[Any]) -> dict[str, Any]:
    """The outputs for images of several sizes, which are no single tensor."""
    import tensorflow as tf

    places: dict[Any, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        places[image.shape].append(place)
    parts = [called(tf.constant(np.stack([images[place] for place in group]))) for group in places.values()]
    order = np.argsort(np.concatenate(list(places.values())))
    return {tensor: np.concatenate([part[tensor] for part in parts])[order] for tensor in parts[0]}


class _KerasFile:
    def __init__(self, run: dict[str, Any]) -> None:
        if needs_custom_objects(run["path"]):
            raise Skipped("it has classes or functions that Keras does not have")
        import keras

        self._model = keras.saving.load_model(run["path"], compile=False, safe_mode=True)
        self._run = run

    def __call__(self, columns: dict[str, Any]) -> Outputs:
        import keras

        outputs = keras.tree.flatten(self._model.predict_on_batch(self._structured(list(columns.values()))))
        return [np.asarray(each) for each in outputs]

    def _structured(self, columns: Sequence[Any]) -> Any:
        import tensorflow as tf

        tensors = [
            tf.constant(values if dtype == "string" else np.asarray(values).astype(dtype))
            for values, dtype in zip(columns, self._run["dtypes"], strict=True)
        ]
        structure = self._run["structure"]
        if structure == "single":
            return tensors[0]
        if structure == "tuple":
            return tuple(tensors)
        if structure == "dict":
            return dict(zip(self._run["names"], tensors, strict=True))
        return _placed(json.loads(structure), tensors)


def _placed(described: Any, tensors: Sequence[Any]) -> Any:
    """Nested tuples and dicts of tensors, from those of their places."""
    if isinstance(described, int):
        return tensors[described]
    if isinstance(described, dict):
        return {name: _placed(each, tensors) for name, each in described.items()}
    return tuple(_placed(each, tensors) for each in described)


# What ONNX calls otherwise than NumPy does.
_ONNX_DTYPES = {"float": "float32", "double": "float64", "string": "object"}


class _Onnx:
    def __init__(self, run: dict[str, Any]) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        self._session = onnxruntime.InferenceSession(run["path"], providers=["CPUExecutionProvider"])
        self._takes = {each.name: self._dtype(each.type) for each in self._session.get_inputs()}
        self._keep = [each["tensor"] for each in run["keep"]]

    def _dtype(self, declared: str) -> str:
        element = declared.removeprefix("tensor(").removesuffix(")")
        return _ONNX_DTYPES.get(element, element)

    def __call__(self, columns: dict[str, Any]) -> Outputs:
        given = {name: _array(columns[name], dtype) for name, dtype in self._takes.items()}
        return list(self._session.run(self._keep, given))


def _array(values: Any, dtype: str) -> Any:
    if dtype != "object":
        return np.asarray(values).astype(dtype)
    texts = [each.decode("utf-8") if isinstance(each, bytes) else each for each in np.asarray(values, object).ravel()]
    found = np.empty(len(texts), object)
    found[:] = texts
    return found.reshape(np.shape(values))


class _LiteRt:
    def __init__(self, run: dict[str, Any]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # The runner does not keep the interpreter alive.
        self._interpreter = Interpreter(model_path=run["path"])
        self._runner = self._interpreter.get_signature_runner("serving_default")
        self._takes = {name: each["dtype"] for name, each in self._runner.get_input_details().items()}
        self._keep = [each["tensor"] for each in run["keep"]]

    def __call__(self, columns: dict[str, Any]) -> Outputs:
        outputs = self._runner(**{name: self._array(columns[name], dtype) for name, dtype in self._takes.items()})
        return [np.array(outputs[tensor]) for tensor in self._keep]

    @staticmethod
    def _array(values: Any, dtype: Any) -> Any:
        if dtype in (np.bytes_, np.object_):
            return np.array([each.encode() if isinstance(each, str) else each for each in values], np.object_)
        return np.asarray(values).astype(dtype)


_RUNTIMES: dict[str, Callable[[dict[str, Any]], Runtime]] = {
    "saved_model": _SavedModel,
    "keras": _KerasFile,
    "onnx": _Onnx,
    "litert": _LiteRt,
}
