"""Prepared data as it lies on disk: memory-mapped columns by split and what is known about them.

A folder of prepared data holds ``meta.json`` and the columns' files: ``<split>-x<i>`` for inputs, ``<split>-y<i>`` for
targets, ``<split>-w<i>`` for weights, and ``<split>-rows``. Reading it needs no TensorFlow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from tuner.data.array_file import allow_open_files, read_array
from tuner.data.bad_files import LISTED, BadFile, printable
from tuner.data.cache_contents import keep_open
from tuner.data.classes import Coding, classes_of
from tuner.data.columns import ArrayColumn, Column, ColumnKind, open_column
from tuner.data.hashes import check_hashes, read_checked, with_digest, write_hashes
from tuner.errors import DataError

META = "meta.json"
# Of the files described here: a folder of another layout is not looked at.
LAYOUT = 7
# There are at most so many, and a column has at most so many files.
_SPLITS, _COLUMN_FILES = 3, 2


class InputFacts(BaseModel):
    """An input as ``search_spaces.base.Input`` describes it, and the kind of its columns."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    kind: str
    column: ColumnKind = "array"
    shape: tuple[int, ...] = ()
    dtype: str
    statistics: dict[str, Any] | None = None


class TargetFacts(BaseModel):
    """A target as ``search_spaces.base.Target`` describes it; its columns are arrays.

    Attributes:
        coding: how a classification's columns say which class it is; ``index`` where the source gave no numbers.
    """

    model_config = ConfigDict(frozen=True)

    name: str = ""
    task: str
    shape: tuple[int, ...] = ()
    dtype: str
    class_names: tuple[str, ...] = ()
    coding: Coding = "index"
    statistics: dict[str, Any] | None = None


class WeightFacts(BaseModel):
    """Weights of examples, or of parts of them: what the loss is multiplied with."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = "float32"


@dataclass(frozen=True)
class FileOrigin:
    """Examples that are files: n paths relative to ``root``, an absolute folder."""

    root: str
    files: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RowOrigin:
    """Examples that are rows.

    Attributes:
        source: the file, absolute, or the Python source that they come from.
        rows: shape (n,), int64: each example's place there, from 0.
    """

    source: str
    rows: npt.NDArray[np.int64]


Origin = FileOrigin | RowOrigin


@dataclass(frozen=True, eq=False)
class Split:
    """The examples of one split.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        inputs: a column for each input, in the data's order.
        targets: likewise for each target, shape (n, ...).
        weights: likewise; empty where all weigh the same.
        origin: where the raw examples are.
    """

    name: str
    inputs: tuple[Column, ...]
    targets: tuple[npt.NDArray[Any], ...]
    weights: tuple[npt.NDArray[Any], ...]
    origin: Origin

    def __len__(self) -> int:
        return len(self.inputs[0])


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Data that is decoded, split and on this node's disk.

    Attributes:
        folder: where it lies.
        fingerprint: the identity of the data, 64 hexadecimal digits, the same on every node.
        kind: the data source's, such as ``image_directory``.
        inputs: what models are given, in ``structure``, see ``tuner.data.structures``.
        targets: what they learn, likewise in ``target_structure``; empty for data without labels.
        weights: likewise in ``weight_structure``; empty where all examples weigh the same.
        wrapped: data without labels reaches models as ``(x,)``, as Keras gives it for some sources, not as ``x``.
        notes: what was decided about the source, for people.
        splits: by name; ``train`` and ``validation`` always, ``test`` if asked for.
        bad_files: the files or rows left out (``on_error: skip``), each with the reason.
        left_out: how many there are, if not all of them are listed in ``bad_files``.
    """

    folder: Path
    fingerprint: str
    kind: str
    inputs: tuple[InputFacts, ...]
    targets: tuple[TargetFacts, ...]
    splits: Mapping[str, Split]
    bad_files: tuple[BadFile, ...] = ()
    left_out: int = 0
    structure: str = "single"
    target_structure: str = "single"
    weights: tuple[WeightFacts, ...] = ()
    weight_structure: str = "single"
    wrapped: bool = False
    notes: tuple[str, ...] = ()

    @property
    def skipped(self) -> tuple[str, ...]:
        """The names of the files left out."""
        return tuple(bad.file for bad in self.bad_files)

    @property
    def task(self) -> str:
        """Of the first target; ``none`` without one."""
        return self.targets[0].task if self.targets else "none"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the first target; empty without one, and for regression."""
        return self.targets[0].class_names if self.targets else ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One example's shape, of the first input."""
        return self.inputs[0].shape

    def split(self, name: str) -> Split:
        """The split of that name.

        Raises:
            DataError: there is none.
        """
        if name not in self.splits:
            raise DataError(f"there is no split {name!r}; there are {', '.join(self.splits)}")
        return self.splits[name]

    def class_counts(self, name: str, target: int = 0) -> tuple[int, ...]:
        """The number of examples of each class (multi-label: with each label) in a split; empty for other tasks."""
        if target >= len(self.targets) or not self.targets[target].class_names:
            return ()
        facts, values = self.targets[target], self.split(name).targets[target]
        if facts.task == "multi_label":
            return tuple(int(count) for count in values.sum(axis=0))
        counts = np.bincount(classes_of(facts, values), minlength=len(facts.class_names))
        return tuple(int(count) for count in counts)

    def describe(self) -> dict[str, Any]:
        """What is worth recording with a study, as JSON; file names are made printable."""
        return {
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            "task": self.task,
            "inputs": [each.model_dump(mode="json", exclude={"statistics"}) for each in self.inputs],
            "structure": self.structure,
            "targets": [each.model_dump(mode="json", exclude={"statistics"}) for each in self.targets],
            "target_structure": self.target_structure,
            "weights": [each.model_dump(mode="json") for each in self.weights],
            "notes": list(self.notes),
            "class_names": list(self.class_names),
            "splits": {
                name: {
                    "examples": len(split),
                    "class_counts": dict(zip(self.class_names, self.class_counts(name), strict=True)),
                }
                for name, split in self.splits.items()
            },
            "skipped": self.left_out or len(self.bad_files),
            "skipped_files": [{"file": printable(bad.file), "reason": bad.reason} for bad in self.bad_files[:LISTED]],
        }

    def split_record(self, name: str) -> dict[str, list[Any]]:
        """The examples of a split with their labels, column by column.

        Returns:
            ``file``, absolute paths, and ``label``; of rows also ``row``, counted from 1, and one ``file`` for all.
            Undecodable bytes of a path are lone surrogates (``os.fsencode`` gives the bytes back).

        Raises:
            DataError: there is no such split.
        """
        split = self.split(name)
        labels = self._labels(split)
        if isinstance(split.origin, FileOrigin):
            root = split.origin.root
            return {"file": [os.path.join(root, file) for file in split.origin.files], "label": labels}
        return {"file": [split.origin.source], "row": (split.origin.rows + 1).tolist(), "label": labels}

    def split_records(self, name: str) -> list[dict[str, Any]]:
        """``split_record``, example by example."""
        return list(examples_of(self.split_record(name)))

    def _labels(self, split: Split) -> list[Any]:
        """The first target of each example, for people."""
        if not self.targets:
            return [None] * len(split)
        facts, values = self.targets[0], split.targets[0]
        names = facts.class_names
        if facts.task == "classification" and names:
            return [names[index] for index in classes_of(facts, values).tolist()]
        if facts.task == "multi_label" and names:
            return [[names[i] for i in np.flatnonzero(row)] for row in values]
        return [value.tolist() for value in values]


def examples_of(record: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """The examples of a ``split_record``: ``{"file": ..., "label": ...}``, and ``"row"`` of rows."""
    files = record["file"] if "row" not in record else repeat(record["file"][0], len(record["row"]))
    columns = {**record, "file": files}
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def input_stem(split: str, index: int) -> str:
    return f"{split}-x{index}"


def target_stem(split: str, index: int) -> str:
    return f"{split}-y{index}"


def weight_stem(split: str, index: int) -> str:
    return f"{split}-w{index}"


def rows_path(folder: Path, split: str) -> Path:
    return folder / f"{split}-rows.npy"


def open_prepared(folder: Path, *, whole: bool = False, hold: bool = True) -> PreparedData:
    """Opens prepared data, without TensorFlow.

    Args:
        whole: holds every byte to what was written; else a sample of large data.
        hold: keeps it in the node's cache for as long as this process lives, which is for those who train on it.

    Raises:
        DataError: nothing is there, or it is not what was written.
    """
    if hold:
        keep_open(folder)
    try:
        meta = read_checked(folder / META)
        check_hashes(folder, meta["hashes"], whole=whole)
        inputs = tuple(InputFacts.model_validate(each) for each in meta["inputs"])
        targets = tuple(TargetFacts.model_validate(each) for each in meta["targets"])
        weights = tuple(WeightFacts.model_validate(each) for each in meta["weights"])
        return PreparedData(
            folder=folder,
            fingerprint=meta["fingerprint"],
            kind=meta["kind"],
            inputs=inputs,
            targets=targets,
            structure=meta["structure"],
            target_structure=meta["target_structure"],
            weights=weights,
            weight_structure=meta["weight_structure"],
            wrapped=meta["wrapped"],
            notes=tuple(meta["notes"]),
            splits={
                name: open_split(folder, name, inputs, targets, _origin(folder, name, item), weights)
                for name, item in meta["splits"].items()
            },
            bad_files=tuple(BadFile(file, reason) for file, reason in meta["bad_files"]),
            left_out=meta["left_out"],
        )
    except FileNotFoundError as error:
        raise DataError(f"no prepared data in {folder}: {error.filename} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise DataError(f"the prepared data in {folder} is damaged: {error}") from error


def open_split(
    folder: Path,
    name: str,
    inputs: tuple[InputFacts, ...],
    targets: tuple[TargetFacts, ...],
    origin: Origin,
    weights: tuple[WeightFacts, ...] = (),
) -> Split:
    """A split whose columns are written.

    Raises:
        OSError, ValueError: a column is missing, or not what the facts say.
    """
    length = len(origin.files) if isinstance(origin, FileOrigin) else len(origin.rows)
    allow_open_files(_SPLITS * (_COLUMN_FILES * len(inputs) + len(targets) + len(weights) + 1))
    columns = tuple(open_column(folder, input_stem(name, i), facts.column) for i, facts in enumerate(inputs))
    values = _opened(folder, (target_stem(name, i) for i in range(len(targets))))
    weighed = _opened(folder, (weight_stem(name, i) for i in range(len(weights))))
    split = Split(name, columns, values, weighed, origin)
    for column, facts in zip(columns, inputs, strict=True):
        _check(f"{name} input {facts.name}", column.values if isinstance(column, ArrayColumn) else None, facts.shape)
        if len(column) != length:
            raise ValueError(f"{name} input {facts.name} has {len(column)} of {length} examples")
    arrays = [(f"target {each.name}", each.shape, value) for each, value in zip(targets, values, strict=True)]
    arrays += [(f"weights {each.name}", each.shape, value) for each, value in zip(weights, weighed, strict=True)]
    for what, shape, value in arrays:
        _check(f"{name} {what}", value, shape)
        if len(value) != length:
            raise ValueError(f"{name} {what} has {len(value)} of {length} examples")
    return split


def _opened(folder: Path, stems: Iterable[str]) -> tuple[npt.NDArray[Any], ...]:
    return tuple(read_array(folder / f"{stem}.npy") for stem in stems)


def _check(what: str, values: npt.NDArray[Any] | None, shape: tuple[int, ...]) -> None:
    if values is not None and values.shape[1:] != shape:
        raise ValueError(f"{what} has the shape {values.shape[1:]}, not {shape}")


def _origin(folder: Path, name: str, item: dict[str, Any]) -> Origin:
    if "files" in item:
        return FileOrigin(item["root"], tuple(item["files"]))
    return RowOrigin(item["source"], read_array(rows_path(folder, name)))


def write_meta(prepared: PreparedData, folder: Path) -> None:
    """Writes ``meta.json``, atomically; it makes a folder of columns complete. Those are hashed the first time."""
    meta = {
        "fingerprint": prepared.fingerprint,
        "kind": prepared.kind,
        "inputs": [each.model_dump(mode="json") for each in prepared.inputs],
        "targets": [each.model_dump(mode="json") for each in prepared.targets],
        "structure": prepared.structure,
        "target_structure": prepared.target_structure,
        "weights": [each.model_dump(mode="json") for each in prepared.weights],
        "weight_structure": prepared.weight_structure,
        "wrapped": prepared.wrapped,
        "notes": prepared.notes,
        "splits": {
            name: {"root": split.origin.root, "files": split.origin.files}
            if isinstance(split.origin, FileOrigin)
            else {"source": split.origin.source}
            for name, split in prepared.splits.items()
        },
        "bad_files": [(bad.file, bad.reason) for bad in prepared.bad_files],
        "left_out": prepared.left_out,
        "hashes": write_hashes(folder),
    }
    temporary = folder / f".{META}.{os.getpid()}"
    # ASCII: a lone surrogate, which stands for an undecodable byte, is kept as an escape.
    try:
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(with_digest(meta), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / META)
    finally:
        temporary.unlink(missing_ok=True)
