"""Divides examples among splits, and holds every split to the classes that training has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tuner.data.splits import TRAIN, Indices, drawn, split_fractions, stratified
from tuner.data.targets import Target
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
    else:
        parts = stratified(classes[train], fractions, data.seed, target.facts.class_names)
    found = {name: train[part] for name, part in parts.items()}
    return found | {name: rows for name, rows in given.items() if name != TRAIN}


def _check_classes(given: Mapping[str, Indices], target: Target, where: Callable[[int], str]) -> None:
    if target.codes is None or len(given) == 1:
        return
    known = _present(target, given[TRAIN])
    for name, rows in given.items():
        unknown = _present(target, rows) & ~known
        if unknown.any():
            label = int(np.argmax(unknown))
            row = next(int(row) for row in rows if _present(target, np.array([row]))[label])
            raise DataError(
                f"the {name} data has the class {target.facts.class_names[label]!r} ({where(row)}), which the train "
                "data lacks: add examples of it there, or remove it here"
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
