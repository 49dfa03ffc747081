"""A split's examples as the user's own arrays have them, read anew: what a proof compares with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.data.columns import ArrayWriter, StringWriter
from tuner.data.npz_source import arrays_of
from tuner.data.prepared import PreparedData, RowOrigin
from tuner.data.python_source import PythonSource
from tuner.data.splits import TRAIN
from tuner.data.values import Values, kept_dtype
from tuner.spec.data import DataSpec, Npz, Python


@dataclass(frozen=True, eq=False)
class OwnArrays:
    """What the user gave for the examples of a split, in its order.

    Attributes:
        inputs: by name, a column for each, as ``tuner.champion.clean`` describes them.
        targets: by name, in the dtypes in which Keras would give them to a model; without those that are strings.
        labels: by name, the targets that are strings, as bytes.
        weights: as ``targets``.
    """

    inputs: Mapping[str, dict[str, Any]]
    targets: Mapping[str, npt.NDArray[Any]]
    labels: Mapping[str, npt.NDArray[np.object_]]
    weights: Mapping[str, npt.NDArray[Any]]


def own_arrays(spec: DataSpec, data: PreparedData, split: str, folder: Path) -> OwnArrays | None:
    """Reads the source again; None where examples are no arrays of the user's.

    Args:
        folder: an empty folder, which receives the inputs.

    Raises:
        DataError: the source cannot be read any more.
        OSError: the folder cannot be written.
    """
    if isinstance(spec, Python):
        source = PythonSource(spec, folder)
        given, from_arrays = source.given, source.from_arrays
    elif isinstance(spec, Npz):
        given, from_arrays = arrays_of(spec), True
    else:
        return None
    examples = given.get(split, given[TRAIN])
    origin = data.split(split).origin
    assert isinstance(origin, RowOrigin)
    rows = np.asarray(origin.rows)
    return OwnArrays(
        inputs={
            name: _written(values, rows, folder, f"own-{index}")
            for index, (name, values) in enumerate(examples.inputs.items())
        },
        targets=_chosen(examples.targets, rows, from_arrays),
        labels={
            name: np.concatenate(list(_rows_of(values, rows)))
            for name, values in examples.targets.items()
            if values.dtype.hasobject
        },
        weights=_chosen(examples.weights, rows, from_arrays),
    )


def _chosen(
    arrays: Mapping[str, Values], rows: npt.NDArray[np.int64], from_arrays: bool
) -> dict[str, npt.NDArray[Any]]:
    return {
        name: np.concatenate(list(_rows_of(values, rows))).astype(kept_dtype(values.dtype, from_arrays))
        for name, values in arrays.items()
        if not values.dtype.hasobject
    }


def _written(values: Values, rows: npt.NDArray[np.int64], folder: Path, stem: str) -> dict[str, Any]:
    if values.dtype.hasobject:
        with StringWriter(folder, stem) as strings:
            for piece in _rows_of(values, rows):
                strings.write(piece)
        return {"strings": str(folder / stem)}
    with ArrayWriter(folder, stem, values.dtype, values.shape) as numbers:
        for piece in _rows_of(values, rows):
            numbers.write(piece)
    return {"array": str(folder / f"{stem}.npy")}


def _rows_of(values: Values, rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[Any]]:
    """The rows asked for, which are sorted, piece by piece."""
    done = 0
    for piece in values.pieces():
        first, last = np.searchsorted(rows, [done, done + len(piece)])
        yield piece[rows[first:last] - done]
        done += len(piece)
