"""The runtimes of exported files: each is called with a batch's columns and gives the outputs asked for, in order."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .keras_file import needs_custom_objects

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
        self._takes = self._loaded.signatures["serving_default"].structured_input_signature[1]
        self._keep = [(each["signature"], each["tensor"]) for each in run["keep"]]

    def __call__(self, columns: dict[str, Any]) -> Outputs:
        given = {tensor: self._tensor(tensor, values) for tensor, values in columns.items()}
        signatures = {signature for signature, _ in self._keep}
        found = {signature: self._loaded.signatures[signature](**given) for signature in signatures}
        return [found[signature][tensor].numpy() for signature, tensor in self._keep]

    def _tensor(self, tensor: str, values: Any) -> Any:
        import tensorflow as tf

        dtype = self._takes[tensor].dtype
        return tf.constant(values if dtype == tf.string else np.asarray(values).astype(dtype.as_numpy_dtype), dtype)


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
