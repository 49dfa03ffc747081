"""How a classifier does class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict


class ClassReport(BaseModel):
    """One class. Precision is None if the class was never predicted, recall if no example has it."""

    model_config = ConfigDict(frozen=True)

    name: str
    examples: int
    precision: float | None
    recall: float | None


class Confusion(BaseModel):
    """Attributes: ``counts``: ``counts[i][j]`` examples of class ``i`` were taken for class ``j``."""

    model_config = ConfigDict(frozen=True)

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def counted(
        cls, class_names: tuple[str, ...], probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]
    ) -> Confusion:
        """Of probabilities, (examples, classes), and labels, (examples,)."""
        size = len(class_names)
        cells = labels.astype(np.int64) * size + probabilities.argmax(axis=1)
        counts = np.bincount(cells, minlength=size * size).reshape(size, size)
        return cls(class_names=class_names, counts=counts.tolist())

    @property
    def accuracy(self) -> float:
        """The share of the examples that were taken for what they are."""
        counts = np.array(self.counts)
        return float(np.trace(counts) / counts.sum())

    @property
    def classes(self) -> tuple[ClassReport, ...]:
        counts = np.array(self.counts)
        return tuple(
            ClassReport(
                name=name,
                examples=int(counts[i].sum()),
                precision=_share(counts[i, i], counts[:, i].sum()),
                recall=_share(counts[i, i], counts[i].sum()),
            )
            for i, name in enumerate(self.class_names)
        )


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
