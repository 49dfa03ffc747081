"""Divides examples among splits, and holds every split to the classes that training has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tuner.data.splits import TRAIN, Indices, drawn, split_fractions, stratified
from tuner.data.targets import MOST_NUMBERED_CLASSES, Target
from tuner.errors import DataError
from tuner.spec.data import SplitSettings


def divided(
    data: SplitSettings, given: Mapping[str, Indices], target: Target | None, where: Callable[[int], str]
) -> dict[str, Indices]:
    """Which examples are in which split.

    Args:
        given: by split, the examples that the data itself puts there, as rows of the target; ``train`` always.
        where: names an example, for errors.

    Returns:
        By split, sorted rows, int64. What the spec takes from ``train`` is stratified by class, or drawn evenly where
        examples have no class.

    Raises:
        DataError: a split is empty, or has a class that training lacks.
    """
    for name, rows in given.items():
        if not len(rows):
            raise DataError(f"the {name} data has no usable row")
    if target is not None:
        _check_classes(given, target, where)
    train, fractions = given[TRAIN], split_fractions(data, given)
    classes = target.classes if target is not None else None
    if classes is None or target is None:
        parts = drawn(len(train), fractions, data.seed)
    elif target.facts.coding != "index":
        # The user's own numbers: whether they are classes shows with the model, and Keras asks for none of each.
        parts = stratified(_with_pooled(classes[train], len(fractions)), fractions, data.seed)
    else:
        parts = stratified(classes[train], fractions, data.seed, target.facts.class_names)
    found = {name: train[part] for name, part in parts.items()}
    return found | {name: rows for name, rows in given.items() if name != TRAIN}


def _with_pooled(classes: Indices, least: int) -> Indices:
    """Classes with those that have fewer examples than there are splits taken together, with the largest if need be."""
    counts = np.bincount(classes)
    rare = (counts > 0) & (counts < least)
    pooled = len(counts) if counts[rare].sum() >= least else int(counts.argmax())
    return np.where(rare[classes], pooled, classes).astype(np.int64)


def _check_classes(given: Mapping[str, Indices], target: Target, where: Callable[[int], str]) -> None:
    many = len(target.facts.class_names) > MOST_NUMBERED_CLASSES
    if target.codes is None or len(given) == 1 or (target.facts.coding != "index" and many):
        return
    known = _present(target, given[TRAIN])
    for name, rows in given.items():
        unknown = _present(target, rows) & ~known
        if unknown.any():
            label = int(np.argmax(unknown))
            row = next(int(row) for row in rows if _present(target, np.array([row]))[label])
            numbers = target.facts.coding == "values"
            hint = "; quantities, which are no classes, need data.task: regression" if numbers else ""
            raise DataError(
                f"the {name} data has the class {target.facts.class_names[label]!r} ({where(row)}), which the train "
                f"data lacks: add examples of it there, or remove it here{hint}"
            )


def _present(target: Target, rows: Indices) -> np.ndarray:
    """Which classes the rows have, bool (classes,)."""
    assert target.codes is not None
    codes = np.unique(target.codes[rows])
    if target.table is not None:
        return np.asarray(target.table[codes].any(axis=0))
    present = np.zeros(len(target.facts.class_names), dtype=np.bool_)
    present[codes] = True
    return present
