"""A split's examples as a user of the export has them, described for the clean process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tuner.champion.model.table_rows import is_csv, write_rows
from tuner.champion.model.tensors import IMAGE_BYTES
from tuner.champion.records.champion_json import ChampionInput, ImageInput, TensorInput
from tuner.data.bad_files import printable
from tuner.data.prepared import FileOrigin, InputFacts, PreparedData, RowOrigin, input_stem, rows_path
from tuner.data.splits import TEST, VALIDATION
from tuner.spec.data import Csv, DataSpec, Npz

# In an .npz file, the array that holds a split: the first one that is there.
_ARRAYS = {VALIDATION: ("x_val", "x_validation", "x_train", "x"), TEST: ("x_test", "x_train", "x")}


@dataclass(frozen=True)
class RawExamples:
    """Columns as ``tuner.champion.clean`` describes them.

    Attributes:
        columns: by tensor of ``serving_default``.
        source: what they are, for people.
    """

    columns: Mapping[str, Any]
    source: str


def raw_examples(
    spec: DataSpec,
    data: PreparedData,
    split: str,
    takes: ChampionInput,
    workspace: Path,
    own: Mapping[str, Any] | None = None,
) -> RawExamples:
    """A split's examples before anything was done to them.

    Args:
        own: by name, columns of what a function of the user's gave.
        workspace: an existing folder for what has to be written down.

    Raises:
        DataError: the source file cannot be read any more.
    """
    origin = data.split(split).origin
    if isinstance(origin, FileOrigin):
        files = [os.path.join(origin.root, file) for file in origin.files]
        if isinstance(takes, ImageInput):
            return RawExamples({IMAGE_BYTES: {"files": files}}, f"raw {split} files")
        return RawExamples({takes.tensors[0].tensor: {"files": files, "text": True}}, f"raw {split} files")
    assert isinstance(takes, TensorInput)
    if isinstance(spec, Csv):
        return _rows_of_a_table(origin, data, split, takes, workspace)
    if isinstance(spec, Npz) and len(takes.tensors) == 1:
        return _array(origin, data, split, takes)
    assert own is not None
    columns = {each.tensor: own[each.name] for each in takes.tensors}
    return RawExamples(columns, f"the {split} examples as {origin.source} gave them")


def prepared(data: PreparedData, split: str, takes: ChampionInput) -> list[dict[str, Any]]:
    """Those of a split's columns that a model takes, as training sees them."""
    taken = {facts.name for facts in data.inputs}
    if isinstance(takes, TensorInput):
        taken = {each.name for each in takes.tensors}
    return [_prepared(data, split, index, facts) for index, facts in enumerate(data.inputs) if facts.name in taken]


def drawn_examples(takes: TensorInput, files: Sequence[Path]) -> RawExamples:
    """Examples for a model that does not take the data's."""
    columns = {each.tensor: {"array": os.fspath(file)} for each, file in zip(takes.tensors, files, strict=True)}
    return RawExamples(columns, "random inputs")


def _prepared(data: PreparedData, split: str, index: int, facts: InputFacts) -> dict[str, Any]:
    stem = data.folder / input_stem(split, index)
    if facts.column == "strings":
        return {"strings": os.fspath(stem)}
    if facts.column == "categories":
        return {"codes": f"{stem}.npy", "vocabulary": f"{stem}-vocabulary.json"}
    return {"array": f"{stem}.npy"}


def _rows_of_a_table(
    origin: RowOrigin, data: PreparedData, split: str, takes: TensorInput, workspace: Path
) -> RawExamples:
    source = f"raw {split} rows of {printable(origin.source)}"
    named = {each.tensor: {"name": takes.column or each.name, "kind": each.kind} for each in takes.tensors}
    if not is_csv(Path(origin.source)):
        return RawExamples(write_rows(Path(origin.source), takes, np.asarray(origin.rows), workspace), source)
    rows = os.fspath(rows_path(data.folder, split))
    described = {"csv": origin.source, "delimiter": takes.delimiter, "rows": rows, "columns": named}
    return RawExamples(described, source)


def _array(origin: RowOrigin, data: PreparedData, split: str, takes: TensorInput) -> RawExamples:
    rows = os.fspath(rows_path(data.folder, split))
    with np.load(origin.source, allow_pickle=False) as file:
        key = next(key for key in _ARRAYS[split] if key in file.files)
    column = {"array": origin.source, "key": key, "rows": rows}
    return RawExamples({takes.tensors[0].tensor: column}, f"raw {split} rows of {printable(origin.source)}")
