"""Deterministic, stratified splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tuner.data.permutation import permutation
from tuner.errors import DataError
from tuner.spec.data import SplitSettings

TRAIN, VALIDATION, TEST = "train", "validation", "test"

Indices = npt.NDArray[np.int64]


def split_fractions(data: SplitSettings, found: Collection[str] = ()) -> dict[str, float]:
    """What fraction of the training examples goes to each split; splits that are given apart take none.

    Args:
        found: splits that the data turned out to hold, beside those that the spec names.
    """
    given = data.given_splits | set(found)
    fractions = {
        VALIDATION: 0.0 if VALIDATION in given else data.validation_split,
        TEST: 0.0 if TEST in given else data.test_split,
    }
    taken = {name: fraction for name, fraction in fractions.items() if fraction > 0}
    return {TRAIN: 1.0 - sum(taken.values()), **taken}


def stratified(
    labels: Indices,
    fractions: Mapping[str, float],
    seed: int,
    class_names: Sequence[str] | None = None,
) -> dict[str, Indices]:
    """Splits examples so that each class is divided in the given fractions.

    Args:
        labels: shape (n,), int64; the class of each example, from 0.
        fractions: by split, each above 0, together 1.
        seed: with the class, all that the choice depends on.
        class_names: for errors; label ``i`` is ``class_names[i]``. A named class without any
            example is an error too.

    Returns:
        By split, the sorted indices of its examples, int64. They are disjoint and cover all.

    Raises:
        DataError: a class has fewer examples than there are splits.
    """
    total = sum(fractions.values())
    if min(fractions.values()) <= 0 or abs(total - 1) > 1e-6:
        raise ValueError(f"fractions must be above 0 and together 1: {dict(fractions)}")
    classes = range(len(class_names)) if class_names else [int(label) for label in np.unique(labels)]
    parts: dict[str, list[Indices]] = {name: [] for name in fractions}
    for label in classes:
        members = np.flatnonzero(labels == label)
        name = class_names[label] if class_names else str(label)
        sizes = _sizes(len(members), list(fractions.values()), name, list(fractions))
        shuffled = members[permutation(len(members), seed, label)]
        for split, part in zip(parts, np.split(shuffled, np.cumsum(sizes)[:-1]), strict=True):
            parts[split].append(part)
    return {split: np.sort(np.concatenate(chosen)).astype(np.int64) for split, chosen in parts.items()}


def drawn(count: int, fractions: Mapping[str, float], seed: int) -> dict[str, Indices]:
    """Splits examples without classes; arguments and result as of ``stratified``.

    Raises:
        DataError: there are fewer examples than splits.
    """
    return stratified(np.zeros(count, dtype=np.int64), fractions, seed, ("any",))


def _sizes(count: int, fractions: list[float], name: str, splits: list[str]) -> list[int]:
    """Whole numbers that sum to ``count``, each at least 1, nearest to its share of it."""
    if count < len(fractions):
        raise DataError(
            f"class {name!r} has {count} usable example{'s' if count != 1 else ''} and needs at "
            f"least {len(fractions)}, one for each of {', '.join(splits)}: add examples to it or "
            "remove the class"
        )
    shares = [count * fraction for fraction in fractions]
    sizes = [max(1, int(share)) for share in shares]
    while sum(sizes) != count:
        step = 1 if sum(sizes) < count else -1
        allowed = [i for i in range(len(sizes)) if step > 0 or sizes[i] > 1]
        sizes[max(allowed, key=lambda i: step * (shares[i] - sizes[i]))] += step
    return sizes
