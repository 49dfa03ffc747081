"""The class of each example, from targets as they lie on disk: derived where it is needed, never put in their place."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

# How a target says which class an example has: by the class's index, by a row of zeros with a one in its place, or by
# the number that the user calls it.
Coding = Literal["index", "one_hot", "values"]


class Classes(Protocol):
    """What is known of a classification's target, see ``tuner.data.prepared.TargetFacts``."""

    @property
    def coding(self) -> Coding: ...

    @property
    def dtype(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...


def class_values(facts: Classes) -> npt.NDArray[Any]:
    """What the user's numbers of the classes are, in the classes' order, which is that of the numbers."""
    read = float if facts.dtype.startswith("float") else int
    return np.array([read(name) for name in facts.class_names]).astype(facts.dtype)


def classes_of(facts: Classes, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The class of each example, (n,), of a classification's targets, (n, *shape)."""
    if facts.coding == "one_hot":
        return values.argmax(axis=-1).astype(np.int64)
    flat = values.reshape(len(values))
    if facts.coding == "index":
        return flat.astype(np.int64)
    return np.searchsorted(class_values(facts), flat).astype(np.int64)
