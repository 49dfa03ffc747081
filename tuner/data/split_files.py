"""Writes what belongs to a split beside its inputs: targets, weights and rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuner.data.columns import ArrayWriter
from tuner.data.prepared import TargetFacts, WeightFacts, rows_path, target_stem, weight_stem
from tuner.data.running_statistics import TargetMoments
from tuner.data.splits import TRAIN, Indices
from tuner.data.targets import Target

_PIECE = 65536


def write_target(target: Target, assigned: Mapping[str, Indices], folder: Path, index: int = 0) -> TargetFacts:
    """Writes a target's columns of every split.

    Returns:
        Its facts, with the statistics of the training split for a regression.
    """
    facts, moments = target.facts, TargetMoments(target.facts.shape)
    for name, rows in assigned.items():
        with ArrayWriter(folder, target_stem(name, index), facts.dtype, facts.shape) as writer:
            for piece in _pieces(rows):
                values = target.values(piece)
                writer.write(values)
                if name == TRAIN and facts.task == "regression":
                    moments.add(values.astype(np.float64))
    if facts.task != "regression":
        return facts
    return facts.model_copy(update={"statistics": moments.stored()})


def write_weights(
    weights: npt.NDArray[np.float32] | None, assigned: Mapping[str, Indices], folder: Path
) -> tuple[WeightFacts, ...]:
    """Writes every split's weights, one for each example, if there are any; what they are."""
    if weights is None:
        return ()
    for name, rows in assigned.items():
        _write(folder / f"{weight_stem(name, 0)}.npy", weights, rows, np.float32)
    return (WeightFacts(),)


def write_rows(places: Indices, assigned: Mapping[str, Indices], folder: Path) -> None:
    """Writes where the rows of every split were found."""
    for name, rows in assigned.items():
        _write(rows_path(folder, name), places, rows, np.int64)


def _write(path: Path, values: npt.NDArray[np.generic], rows: Indices, dtype: npt.DTypeLike) -> None:
    with ArrayWriter(path.parent, path.stem, dtype) as writer:
        for piece in _pieces(rows):
            writer.write(values[piece])


def _pieces(rows: Indices) -> Iterator[Indices]:
    for start in range(0, len(rows), _PIECE):
        yield rows[start : start + _PIECE]
