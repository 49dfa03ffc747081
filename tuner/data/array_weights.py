"""Weights that come with arrays: of examples, of their parts or by output, as ``fit(sample_weight=...)`` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.data.prepared import WeightFacts
from tuner.data.structures import SINGLE, repeated
from tuner.data.values import Values, kept_dtype
from tuner.errors import DataError

UNUSABLE = "the weight is not a number of at least 0"


@dataclass(frozen=True, eq=False)
class ArrayWeights:
    """The weights of all examples, those of all splits one behind the other.

    Attributes:
        facts: of each array.
        parts: of each array its values by split.
        structure: as training gets them.
    """

    facts: tuple[WeightFacts, ...]
    parts: tuple[tuple[Values, ...], ...]
    structure: str

    def unusable(self) -> npt.NDArray[np.bool_] | None:
        """Shape (examples,): those with a weight that is missing or below 0; None without weights."""
        found = [np.concatenate([_bad(piece) for part in parts for piece in part.pieces()]) for parts in self.parts]
        return np.any(found, axis=0) if found else None


def array_weights(
    given: Sequence[Mapping[str, Values]],
    structure: str,
    targets: Mapping[str, Values],
    target_structure: str,
    from_arrays: bool,
) -> ArrayWeights:
    """What the weights of all splits are together.

    Args:
        given: by split, by name.
        targets: of the training data, by name; ``target_structure``: how they are arranged.
        from_arrays: they go through what Keras does with arrays: a single one is for every output, and floats are
            float32.

    Raises:
        DataError: they cannot be weights of these targets.
    """
    first = given[0]
    if not first:
        return ArrayWeights((), (), SINGLE)
    if from_arrays and structure == SINGLE and target_structure != SINGLE:
        if next(iter(first.values())).shape not in ((), (1,)):
            raise DataError(
                "one array of weights for several targets has one number for each example: give the weights of parts "
                "of examples by target, arranged as y is"
            )
        structure = repeated(target_structure, list(targets))
    elif from_arrays and (structure != target_structure or set(first) != set(targets)):
        raise DataError(
            f"the weights are {_listed(first)} and the targets {_listed(targets)}: give one array of weights for each "
            "target, arranged as y is, as Keras's fit(sample_weight=...) asks for"
        )
    for name, values in first.items():
        _check(name, values, targets)
    facts = tuple(
        WeightFacts(name=name, shape=values.shape, dtype=kept_dtype(values.dtype, from_arrays))
        for name, values in first.items()
    )
    return ArrayWeights(facts, tuple(tuple(each[name] for each in given) for name in first), structure)


def _check(name: str, values: Values, targets: Mapping[str, Values]) -> None:
    """Raises DataError: it is no number for each example, or for each part of one that a loss may give a value for."""
    shown = f"the weights {name!r}" if name else "the weights"
    if values.dtype.kind not in "fiub":
        kind = "strings" if values.dtype.hasobject else values.dtype.name
        raise DataError(
            f"{shown}, the third part of the data, are {kind}, not numbers: data is (x, y) or (x, y, weights)"
        )
    if values.shape in ((), (1,)):
        return
    fitting = [targets[name]] if name in targets else list(targets.values())
    if not any(_is_part_of(values.shape, each.shape) for each in fitting):
        shapes = " and ".join(_with_examples(each.shape) for each in fitting)
        raise DataError(
            f"{shown}, the third part of the data, have the shape {_with_examples(values.shape)} and y has {shapes}: "
            "weights have one number for each example, or for each part of y. If they are no weights, return (x, y), "
            "with several inputs or targets in a tuple or dict"
        )


def _with_examples(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['examples', *map(str, shape)])})"


def _is_part_of(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) <= len(target) and all(mine in (1, its) for mine, its in zip(shape, target, strict=False))


def _listed(arrays: Mapping[str, Values]) -> str:
    return ", ".join(name or "a single array" for name in arrays) or "none"


def _bad(piece: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    flat = piece.reshape(len(piece), -1)
    return ~(np.isfinite(flat) & (flat >= 0)).all(axis=1)
