"""Infers the task of arrays from their dtype and shape. The values stay the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.data.prepared import TargetFacts
from tuner.data.targets import MOST_NUMBERED_CLASSES, Target, class_names
from tuner.data.values import Values, kept_dtype
from tuner.errors import DataError
from tuner.spec.data import LabelledTask

Mask = npt.NDArray[np.bool_]

_MOST_CLASSES = 100_000


@dataclass(frozen=True, eq=False)
class ArrayTarget:
    """A target of all examples, those of all splits one behind the other.

    Attributes:
        facts: what it is; statistics are still missing.
        classes: of a classification, with what is written where the user gave no numbers.
        parts: its values by split.
        unusable: shape (examples,): those without a usable target.
        reason: what is wrong with these.
    """

    facts: TargetFacts
    classes: Target | None
    parts: tuple[Values, ...]
    unusable: Mask
    reason: str


def array_target(name: str, parts: Sequence[Values], task: LabelledTask, from_arrays: bool = True) -> ArrayTarget:
    """What the arrays of all splits are together.

    ===========================================  ==============================================================
    strings, one each                            classification
    booleans or integers, one each               classification; regression where there are too many different ones
    floats, one each                             regression
    rows of zeros and ones with a single one     classification (one-hot; class ``i`` is named ``i``)
    other rows of zeros and ones                 multi_label
    anything else                                regression of that shape
    ===========================================  ==============================================================

    Too many are more than 20 that are not most of the integers between the smallest and the largest. "One each" is a
    shape of () or (1,), which stays what it is; numbers keep their values and dtype too.

    Args:
        task: ``regression`` and ``classification`` also take the other kind of numbers, ``multi_label`` one-hot rows.
        from_arrays: floats become float32, as Keras makes them of arrays.

    Raises:
        DataError: they cannot be that, or hold one class only.
    """
    shown = f"the target {name!r}" if name else "the target"
    shape, dtype = parts[0].shape, parts[0].dtype
    kept = "int64" if dtype.hasobject else kept_dtype(dtype, from_arrays)
    facts = TargetFacts(name=name, task="regression", shape=shape, dtype=kept)
    if shape in ((), (1,)):
        if task == "multi_label":
            raise DataError(f"{shown} has one value for each example, multi_label needs a row of zeros and ones")
        if task == "regression" and dtype.hasobject:
            raise DataError(f"{shown} holds strings, regression needs numbers")
        if task == "regression" or (task == "auto" and dtype.kind == "f"):
            return _numbers(facts, shown, parts)
        return _classes(facts, shown, parts, task)
    if dtype.hasobject:
        raise DataError(f"{shown} holds strings of the shape {shape}: give one label for each example")
    if len(shape) == 1 and task != "regression" and _binary(parts):
        return _indicators(facts, parts, task)
    if task in ("classification", "multi_label"):
        raise DataError(f"{shown} has the shape {shape} and is no row of zeros and ones: it cannot be {task}")
    return _numbers(facts, shown, parts)


def _numbers(facts: TargetFacts, shown: str, parts: Sequence[Values]) -> ArrayTarget:
    pieces = (piece for part in parts for piece in part.pieces())
    finite = [np.isfinite(piece.reshape(len(piece), -1)).all(axis=1) for piece in pieces]
    reason = f"{shown} is NaN or infinite" if facts.shape in ((), (1,)) else f"{shown} holds NaN or infinite numbers"
    return ArrayTarget(facts, None, tuple(parts), ~np.concatenate(finite), reason)


def _classes(facts: TargetFacts, shown: str, parts: Sequence[Values], task: LabelledTask) -> ArrayTarget:
    known: dict[Any, int] = {}
    codes = []
    for part in parts:
        for piece in part.pieces():
            found, places = np.unique(piece.reshape(-1), return_inverse=True)
            local = np.array([known.setdefault(value, len(known)) for value in found.tolist()], dtype=np.int64)
            codes.append(local[places.reshape(-1)])
    dtype = parts[0].dtype
    if task == "auto" and dtype.kind in "iu" and _are_quantities(list(known)):
        return _numbers(facts, shown, parts)
    labels = [label_of(value, shown) for value in known]
    names = class_names([label for label in labels if label not in ("", "nan")])
    if len(names) < 2:
        held = f"only one class ({names[0]!r})" if names else "no label"
        hint = "" if dtype.hasobject else "; numbers to be learned as such need data.task: regression"
        raise DataError(f"{shown} holds {held}: classification needs two classes{hint}")
    order = {label: place for place, label in enumerate(names)}
    lookup = np.array([order.get(label, -1) for label in labels], dtype=np.int64)
    rows = lookup[np.concatenate(codes)]
    coding = "index" if dtype.hasobject else "values"
    shape = () if dtype.hasobject else facts.shape
    made = facts.model_copy(update={"task": "classification", "class_names": names, "coding": coding, "shape": shape})
    return _of_classes(made, rows, parts, f"{shown} is missing")


def _are_quantities(values: Sequence[int]) -> bool:
    """Whether different integers are too many and too far from each other to be classes."""
    count = len(values)
    if count <= MOST_NUMBERED_CLASSES:
        return False
    return count > _MOST_CLASSES or 2 * count < max(values) - min(values) + 1


def _of_classes(facts: TargetFacts, rows: npt.NDArray[np.int64], parts: Sequence[Values], reason: str) -> ArrayTarget:
    unusable = rows < 0
    return ArrayTarget(facts, Target(facts, rows, None, None, unusable, reason), tuple(parts), unusable, reason)


def label_of(value: Any, shown: str) -> str:
    """The name of the class that a value of the user's stands for. Raises DataError."""
    if not isinstance(value, bytes):
        return str(int(value)) if isinstance(value, bool) else str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{shown} holds the label {value!r}, which is not UTF-8 text") from None


def _binary(parts: Sequence[Values]) -> bool:
    return all(bool(((piece == 0) | (piece == 1)).all()) for part in parts for piece in part.pieces())


def _indicators(facts: TargetFacts, parts: Sequence[Values], task: LabelledTask) -> ArrayTarget:
    names = tuple(str(place) for place in range(parts[0].shape[0]))
    # Booleans and small integers are added up in a wider dtype than theirs.
    ones = np.concatenate([piece.sum(axis=1, dtype=np.int64) for part in parts for piece in part.pieces()])
    facts = facts.model_copy(update={"class_names": names})
    if task == "multi_label" or len(names) < 2 or not bool((ones == 1).all()):
        multi = facts.model_copy(update={"task": "multi_label"})
        return ArrayTarget(multi, None, tuple(parts), np.zeros(len(ones), dtype=np.bool_), "")
    rows = np.concatenate([piece.argmax(axis=1) for part in parts for piece in part.pieces()]).astype(np.int64)
    return _of_classes(facts.model_copy(update={"task": "classification", "coding": "one_hot"}), rows, parts, "")
