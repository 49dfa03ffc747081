"""What is learned from arrays: the task by dtype and shape, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.data.prepared import TargetFacts
from tuner.data.targets import Target, class_names
from tuner.data.values import Values
from tuner.errors import DataError
from tuner.spec.data import LabelledTask

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ArrayTarget:
    """A target of all examples, those of all splits one behind the other.

    Attributes:
        facts: what it is; statistics are still missing.
        held: it, where it is a number or class of each example.
        parts: its values by split, where they are too large to be held.
        unusable: shape (examples,): those without a usable target.
        reason: what is wrong with these.
    """

    facts: TargetFacts
    held: Target | None
    parts: tuple[Values, ...]
    unusable: Mask
    reason: str


def array_target(name: str, parts: Sequence[Values], task: LabelledTask) -> ArrayTarget:
    """What the arrays of all splits are together.

    ===========================================  ==============================================================
    integers, booleans or strings, one each      classification
    floats, one each                             regression
    rows of zeros and ones with a single one     classification (one-hot; class ``i`` is named ``i``)
    other rows of zeros and ones                 multi_label
    anything else                                regression of that shape, as it is
    ===========================================  ==============================================================

    Args:
        task: ``regression`` and ``classification`` also take the other kind of numbers, ``multi_label`` one-hot rows.

    Raises:
        DataError: they cannot be that, or hold one class only.
    """
    shown = f"the target {name!r}" if name else "the target"
    shape, dtype = parts[0].shape, parts[0].dtype
    if shape in ((), (1,)):
        quantity = dtype.kind == "f" if task == "auto" else task == "regression"
        if task == "multi_label":
            raise DataError(f"{shown} has one value for each example, multi_label needs a row of zeros and ones")
        if quantity and dtype.hasobject:
            raise DataError(f"{shown} holds strings, regression needs numbers")
        return _numbers(name, shown, parts) if quantity else _classes(name, shown, parts)
    if dtype.hasobject:
        raise DataError(f"{shown} holds strings of the shape {shape}: give one label for each example")
    if len(shape) == 1 and task != "regression" and _binary(parts):
        return _indicators(name, parts, task)
    if task in ("classification", "multi_label"):
        raise DataError(f"{shown} has the shape {shape} and is no row of zeros and ones: it cannot be {task}")
    return _passing(name, shown, parts)


def _numbers(name: str, shown: str, parts: Sequence[Values]) -> ArrayTarget:
    values = _concatenated(parts).astype(np.float64)
    facts = TargetFacts(name=name, task="regression", dtype="float32")
    return _held(Target(facts, None, None, values, ~np.isfinite(values), f"{shown} is NaN or infinite"))


def _classes(name: str, shown: str, parts: Sequence[Values]) -> ArrayTarget:
    known: dict[Any, int] = {}
    codes = []
    for part in parts:
        for piece in part.pieces():
            found, places = np.unique(piece.reshape(-1), return_inverse=True)
            local = np.array([known.setdefault(value, len(known)) for value in found.tolist()], dtype=np.int64)
            codes.append(local[places.reshape(-1)])
    labels = [_label(value, shown) for value in known]
    names = class_names([label for label in labels if label not in ("", "nan")])
    if len(names) < 2:
        held = f"only one class ({names[0]!r})" if names else "no label"
        raise DataError(f"{shown} holds {held}: classification needs two classes")
    order = {label: place for place, label in enumerate(names)}
    lookup = np.array([order.get(label, -1) for label in labels], dtype=np.int64)
    facts = TargetFacts(name=name, task="classification", dtype="int64", class_names=names)
    rows = lookup[np.concatenate(codes)]
    return _held(Target(facts, rows, None, None, rows < 0, f"{shown} is missing"))


def _label(value: Any, shown: str) -> str:
    if not isinstance(value, bytes):
        return str(int(value)) if isinstance(value, bool) else str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{shown} holds the label {value!r}, which is not UTF-8 text") from None


def _binary(parts: Sequence[Values]) -> bool:
    return all(bool(((piece == 0) | (piece == 1)).all()) for part in parts for piece in part.pieces())


def _indicators(name: str, parts: Sequence[Values], task: LabelledTask) -> ArrayTarget:
    names = tuple(str(place) for place in range(parts[0].shape[0]))
    one_each = all(bool((piece.sum(axis=1) == 1).all()) for part in parts for piece in part.pieces())
    count = sum(len(part) for part in parts)
    fine = np.zeros(count, dtype=np.bool_)
    if task == "multi_label" or not one_each or len(names) < 2:
        facts = TargetFacts(name=name, task="multi_label", shape=(len(names),), dtype="float32", class_names=names)
        return ArrayTarget(facts, None, tuple(parts), fine, "")
    codes = np.concatenate([piece.argmax(axis=1) for part in parts for piece in part.pieces()]).astype(np.int64)
    facts = TargetFacts(name=name, task="classification", dtype="int64", class_names=names)
    return _held(Target(facts, codes, None, None, fine, ""))


def _passing(name: str, shown: str, parts: Sequence[Values]) -> ArrayTarget:
    dtype = parts[0].dtype
    kept = "float32" if dtype.kind == "f" else dtype.name
    pieces = (piece for part in parts for piece in part.pieces())
    finite = [np.isfinite(piece.reshape(len(piece), -1)).all(axis=1) for piece in pieces]
    facts = TargetFacts(name=name, task="regression", shape=parts[0].shape, dtype=kept)
    return ArrayTarget(facts, None, tuple(parts), ~np.concatenate(finite), f"{shown} holds NaN or infinite numbers")


def _held(target: Target) -> ArrayTarget:
    return ArrayTarget(target.facts, target, (), target.unusable, target.reason)


def _concatenated(parts: Sequence[Values]) -> npt.NDArray[Any]:
    return np.concatenate([piece.reshape(-1) for part in parts for piece in part.pieces()])
