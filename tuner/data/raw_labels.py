"""What the source itself says of a split's examples: a proof's labels and weights do not come from the cache alone.

A cache can be damaged, or written by a version with a fault, in ways that its hashes do not show.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow

from tuner.data.array_targets import label_of
from tuner.data.bad_files import printable
from tuner.data.cells import bare, decimal_comma, decoded, numbers
from tuner.data.own_arrays import OwnArrays
from tuner.data.prepared import FileOrigin, PreparedData, RowOrigin, Split, TargetFacts
from tuner.data.table_file import open_table
from tuner.data.targets import example_weights, one_name_each
from tuner.errors import DataError
from tuner.spec.data import Csv, DataSpec

_Array = npt.NDArray[Any]
# Of targets and of weights, a column for each.
_Given = tuple[Sequence[_Array], Sequence[_Array]]
# Of an example whose label the source does not have among the classes.
_UNKNOWN = -1


def check_labels(spec: DataSpec, data: PreparedData, split: str, own: OwnArrays | None) -> None:
    """Holds a split's prepared targets and weights to the source, which is read for it.

    Args:
        own: what a function or an .npz file of the user's gave for the split; None for files and tables.

    Raises:
        DataError: an example's target or weight is another one there, or the source cannot be read any more.
    """
    part = data.split(split)
    if isinstance(part.origin, FileOrigin):
        given = _of_folders(part.origin, data)
    elif isinstance(spec, Csv):
        given = _of_table(spec, part.origin, data)
    else:
        assert own is not None
        given = _of_arrays(own, data)
    for what, cached, raw in _beside(part, given):
        if differing := _differing(cached, raw):
            raise DataError(
                f"the {what} of {len(differing)} of {len(part)} {split} examples in the data cache are not those of "
                f"the source; the first is {_example(part, differing[0])}. Remove the folder "
                f"{printable(str(data.folder))} and export again"
            )


def _beside(part: Split, given: _Given) -> Iterator[tuple[str, _Array, _Array]]:
    """Every prepared column of targets and weights, in words, with what the source gives for it."""
    targets, weights = given
    for what, cached, raw in (("labels", part.targets, targets), ("weights", part.weights, weights)):
        for one, other in zip(cached, raw, strict=True):
            yield what, np.asarray(one), other


def _differing(cached: _Array, raw: _Array) -> list[int]:
    if cached.shape != raw.shape:
        return list(range(len(cached)))
    same = (cached == raw) | ((cached != cached) & (raw != raw))
    return [int(place) for place in np.flatnonzero(~same.reshape(len(same), -1).all(axis=1))]


def _example(part: Split, place: int) -> str:
    origin = part.origin
    if isinstance(origin, FileOrigin):
        return printable(origin.files[place])
    return f"row {int(origin.rows[place]) + 1} of {printable(origin.source)}"


def _of_folders(origin: FileOrigin, data: PreparedData) -> _Given:
    if not data.targets:
        return (), ()
    places = {name: place for place, name in enumerate(data.targets[0].class_names)}
    found = [places.get(file.partition(os.sep)[0], _UNKNOWN) for file in origin.files]
    return (np.array(found, np.int64),), ()


def _of_table(spec: Csv, origin: RowOrigin, data: PreparedData) -> _Given:
    names = [name for name in (spec.label_column, spec.weight_column) if name is not None]
    cells = _cells(spec, origin, names) if names else {}
    commas = decimal_comma(spec.delimiter)
    targets, weights = [], []
    if spec.label_column is not None:
        targets.append(_learned(spec, data.targets[0], cells[spec.label_column], commas))
    if spec.weight_column is not None:
        weights.append(example_weights(cells[spec.weight_column], commas)[0])
    return targets, weights


def _cells(spec: Csv, origin: RowOrigin, names: Sequence[str]) -> dict[str, Any]:
    """The cells of the split's rows, Arrow strings in its order."""
    wanted = np.asarray(origin.rows)
    places: list[_Array] = []
    pieces: dict[str, list[Any]] = {name: [] for name in names}
    for rows in open_table(Path(origin.source), spec.delimiter).rows(names, lambda place, count: None):
        chosen = np.isin(rows.places, wanted)
        places.append(rows.places[chosen])
        for name in names:
            pieces[name].append(decoded(rows.cells[name])[0].filter(pyarrow.array(chosen)))
    order = np.argsort(np.concatenate(places))
    if len(order) != len(wanted):
        raise DataError(f"{printable(origin.source)} lacks rows that the study had: restore it as it was")
    ranked = order[np.argsort(np.argsort(wanted))]
    return {name: pyarrow.concat_arrays(found).take(pyarrow.array(ranked)) for name, found in pieces.items()}


def _learned(spec: Csv, facts: TargetFacts, strings: Any, commas: bool) -> _Array:
    if facts.task == "regression":
        read = numbers(strings, commas)
        return np.where(read.infinite, np.nan, read.values).astype(facts.dtype)
    labels: list[str] = bare(strings).to_pylist()
    names = facts.class_names
    if facts.task == "multi_label":
        assert spec.label_separator is not None
        sets = [{part.strip() for part in each.split(spec.label_separator)} for each in labels]
        return np.array([[name in each for name in names] for each in sets]).astype(facts.dtype)
    known_as = one_name_each(sorted({*labels, *names}))
    places = {known_as[name]: place for place, name in enumerate(names)}
    return np.array([places.get(known_as[label], _UNKNOWN) for label in labels], np.int64)


def _of_arrays(own: OwnArrays, data: PreparedData) -> _Given:
    targets = [
        own.targets[each.name] if each.name in own.targets else _named(each, own.labels) for each in data.targets
    ]
    return targets, [own.weights[each.name] for each in data.weights]


def _named(facts: TargetFacts, labels: Mapping[str, _Array]) -> _Array:
    places = {name: place for place, name in enumerate(facts.class_names)}
    given = labels[facts.name].reshape(-1).tolist()
    return np.array([places.get(label_of(label, facts.name), _UNKNOWN) for label in given], np.int64)
