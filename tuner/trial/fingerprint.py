"""Whether two builds of a search space have made the same: everything that can be reached from them, as one digest.

What cannot be looked into counts as the same only if it is the same object. So equal digests mean equal models, while
equal models may have other digests, for example where a build draws numbers of its own.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import logging
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tuner.processes.user_code import is_of_a_library

# More objects than this are not compared.
_MOST = 300_000

# A static type, which C defines: its values may hide something from Python.
_HEAP_TYPE = 1 << 9
_SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range, slice)
_CLASSES_OWN = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl"}

# What Keras and TensorFlow keep for themselves: identities, what follows from the rest, and constructors' arguments,
# which an object may have dropped.
_KEPT_BY_KERAS = {
    "_auto_config",
    "_call_signature",
    "_compile_config",
    "_compiled_trainable_state",
    "_distribute_strategy",
    "_distribution_strategy",
    "_inbound_nodes",
    "_lock",
    "_loss_ids",
    "_nodes",
    "_nodes_by_depth",
    "_operations_by_depth",
    "_outbound_nodes",
    "_self_name_based_restores",
    "_self_saveable_object_factories",
    "_self_unconditional_checkpoint_dependencies",
    "_self_unconditional_deferred_dependencies",
    "_self_unconditional_dependency_names",
    "_self_update_uid",
    "_tracked",
    "_tracker",
    "_trainable_variables_indices",
    "tracker",
}


class TooMuch(Exception):
    """There is more to compare than is worth it."""


class Comparison:
    """Digests that can be compared with each other, for as long as this object lives."""

    def __init__(self) -> None:
        # Else another object could get the number of one that is gone.
        self._opaque: dict[int, Any] = {}

    def digest(self, *roots: Any) -> bytes:
        """What is reachable from ``roots`` now.

        Raises:
            TooMuch: it is larger than is worth a comparison.
        """
        digest, seen, stack = hashlib.blake2b(digest_size=16), dict[int, tuple[int, Any]](), list(reversed(roots))
        while stack:
            found = stack.pop()
            if type(found) in _SCALARS:
                digest.update(f"{type(found).__name__} {found!r}\n".encode())
                continue
            if id(found) in seen:
                digest.update(f"again {seen[id(found)][0]}\n".encode())
                continue
            if len(seen) > _MOST:
                raise TooMuch
            seen[id(found)] = len(seen), found
            token, parts = self._described(found)
            digest.update(token if isinstance(token, bytes) else f"{token} {len(parts)}\n".encode())
            stack.extend(reversed(parts))
        return digest.digest()

    def _described(self, found: Any) -> tuple[str | bytes, list[Any]]:
        for kinds, describe in _DESCRIBE:
            if isinstance(found, kinds):
                described = describe(found)
                break
        else:
            described = _object(found)
        if described is not None:
            return described
        self._opaque[id(found)] = found
        return f"opaque {id(found)}", []


_Described = tuple[str | bytes, list[Any]] | None


def _name(found: Any) -> str:
    return f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', None)}"


def _is_librarys(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return module.partition(".")[0] in sys.stdlib_module_names or (file is not None and is_of_a_library(file))


def _module_of(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]


def _by_name(found: Any) -> _Described:
    return f"{type(found).__name__} {getattr(found, 'name', None) or getattr(found, '__name__', None)}", []


def _by_text(found: Any) -> _Described:
    return f"{_name(type(found))} {found}", []


def _function(function: types.FunctionType) -> _Described:
    module = sys.modules.get(str(function.__module__))
    users = not is_of_a_library(function.__code__.co_filename)
    if not users and getattr(module, function.__qualname__, None) is function:
        return f"function {_name(function)}", []
    parts = [function.__code__, function.__defaults__, function.__kwdefaults__, *_cells(function), vars(function)]
    if users:
        parts += _globals_of(function.__code__, function.__globals__)
    return f"function {_name(function)}", parts


def _cells(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            yield "empty"


def _globals_of(code: types.CodeType, known: Mapping[str, Any]) -> list[Any]:
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    found = [known[name] for name in code.co_names if name in known]
    return found + [each for nested in inner for each in _globals_of(nested, known)]


def _code(code: types.CodeType) -> _Described:
    return f"code {code.co_filename}:{code.co_firstlineno} {code.co_code.hex()}", [*code.co_names, *code.co_consts]


def _method(method: types.MethodType) -> _Described:
    return "method", [method.__func__, method.__self__]


def _builtin(function: types.BuiltinFunctionType) -> _Described:
    owner = getattr(function, "__self__", None)
    return f"builtin {_name(function)}", [] if isinstance(owner, types.ModuleType | type) else [owner]


def _class(cls: type) -> _Described:
    if _is_librarys(str(cls.__module__)):
        return f"class {_name(cls)}", []
    members = [each for name, each in vars(cls).items() if name not in _CLASSES_OWN]
    return f"class {_name(cls)} {sorted(vars(cls))}", [*cls.__bases__, *members]


def _property(found: property) -> _Described:
    return "property", [found.fget, found.fset]


def _wrapped(found: Any) -> _Described:
    return type(found).__name__, [found.__func__]


def _partial(found: functools.partial[Any]) -> _Described:
    return "partial", [found.func, found.args, found.keywords]


def _array(array: np.ndarray) -> _Described:
    if array.dtype.hasobject:
        return f"array {array.shape}", [array.tolist()]
    return f"array {array.dtype} {array.shape} ".encode() + hashlib.blake2b(array.tobytes()).digest(), []


def _tensor(tensor: Any) -> _Described:
    if tensor.dtype in (tf.resource, tf.variant):
        return None
    return "tensor", [tensor.numpy()]


def _variable(variable: Any) -> _Described:
    kept = {name: each for name, each in vars(variable).items() if name != "_value" and name not in _KEPT_BY_KERAS}
    return "variable", [type(variable), kept, getattr(variable, "_value", None)]


def _tensorflow_variable(variable: Any) -> _Described:
    return f"variable {variable.name} {variable.trainable}", [variable.numpy()]


def _symbol(tensor: Any) -> _Described:
    """A tensor of a graph of layers, and by which calls it came about."""
    shown = f"symbol {tensor.shape} {tensor.dtype} {tensor.sparse}"
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return shown, []
    operation, node, place = history
    call = operation._inbound_nodes[node].arguments
    return f"{shown} {node} {place}", [operation, call.args, call.kwargs]


def _set(found: set[Any] | frozenset[Any]) -> _Described:
    if not all(type(each) in _SCALARS for each in found):
        return None
    return f"{_name(type(found))} {sorted(map(repr, found))}", []


def _mapping(found: Mapping[Any, Any]) -> _Described:
    return _name(type(found)), [each for item in found.items() for each in item] + _attributes(found)


def _sequence(found: Any) -> _Described:
    return _name(type(found)), [*found, *_attributes(found)]


def _scalar(found: Any) -> _Described:
    return f"{_name(type(found))} {found!r}", _attributes(found)


def _attributes(found: Any) -> list[Any]:
    """Attributes of what has a value besides: those of a user's class."""
    return [] if _module_of(type(found)) in ("builtins", "keras", "tensorflow", "collections") else _state(found)


def _state(found: Any) -> list[Any]:
    kept = dict(getattr(found, "__dict__", {}))
    for cls in type(found).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(found, name):
                kept[name] = getattr(found, name)
    of_keras = isinstance(found, _KERAS_OBJECTS)
    return [part for name, each in kept.items() if not (of_keras and name in _KEPT_BY_KERAS) for part in (name, each)]


def _object(found: Any) -> _Described:
    cls = type(found)
    if _module_of(cls) == "tensorflow":
        return _of_tensorflow(found)
    hides = [base for base in cls.__mro__[:-1] if not base.__flags__ & _HEAP_TYPE]
    if not hides and (hasattr(found, "__dict__") or any("__slots__" in vars(base) for base in cls.__mro__)):
        return f"object {_name(cls)}", [cls, *_state(found)]
    try:
        reduced = found.__reduce_ex__(4)
    except Exception:
        return None
    if isinstance(reduced, str):
        return None
    return f"object {_name(cls)}", [list(each) if isinstance(each, Iterator) else each for each in reduced]


def _of_tensorflow(found: Any) -> _Described:
    if hasattr(found, "python_function"):
        return "tf.function", [found.python_function]
    if isinstance(found, tf.lookup.StaticHashTable | tf.lookup.experimental.MutableHashTable):
        return "table", list(found.export())
    if isinstance(found, tf.RaggedTensor | tf.SparseTensor):
        return "composite", tf.nest.flatten(found, expand_composites=True)
    if isinstance(found, tf.TensorShape | tf.DType | tf.TypeSpec):
        return _by_text(found)
    return None


# Classes that have a `_tracker`, and attributes of their own that say nothing.
_KERAS_OBJECTS = (
    keras.Layer,
    keras.Operation,
    keras.Loss,
    keras.Metric,
    keras.optimizers.Optimizer,
    keras.Variable,
    tf.Module,
)

# The first that fits.
_DESCRIBE: list[tuple[Any, Callable[[Any], _Described]]] = [
    (types.FunctionType, _function),
    (types.CodeType, _code),
    (types.MethodType, _method),
    (types.BuiltinFunctionType, _builtin),
    (types.ModuleType, _by_name),
    (type, _class),
    (property, _property),
    ((staticmethod, classmethod), _wrapped),
    (functools.partial, _partial),
    (enum.Enum, _by_name),
    (logging.Logger, _by_name),
    ((np.dtype, PurePath), _by_text),
    (np.ndarray, _array),
    (np.generic, _by_text),
    (keras.KerasTensor, _symbol),
    (keras.Variable, _variable),
    (tf.Variable, _tensorflow_variable),
    (tf.Tensor, _tensor),
    ((set, frozenset), _set),
    (Mapping, _mapping),
    ((list, tuple), _sequence),
    ((bool, int, float, complex, str, bytes), _scalar),
]
