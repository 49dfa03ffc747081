"""What is to be predicted, one example at a time, out of files of every kind."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tuner.champion.record import ChampionInput, ImageInput, TensorInput
from tuner.champion.rows import RowTensors, read_rows
from tuner.champion.tensors import IMAGE_BYTES
from tuner.data.bad_files import unreadable_reason
from tuner.errors import DataError


@dataclass(frozen=True, eq=False)
class Item:
    """An example, or what is wrong with it.

    Attributes:
        file: the place of its file among those given.
        row: from 1, of a file with rows.
        tensors: its values by tensor.
    """

    file: int
    row: int | None = None
    tensors: dict[str, Any] | None = None
    error: str | None = None


def items_of(index: int, file: Path, takes: ChampionInput) -> Iterator[Item]:
    """The examples in a file.

    Args:
        index: the file's place among those given.
    """
    try:
        if isinstance(takes, ImageInput):
            yield Item(index, tensors={IMAGE_BYTES: file.read_bytes()})
        elif takes.kind == "table" or (takes.kind == "text" and holds_rows(file)):
            yield from _rows(index, file, takes)
        elif takes.kind == "text":
            yield _text(index, file, takes)
        else:
            yield from _arrays(index, file, takes)
    except OSError as error:
        yield Item(index, error=unreadable_reason(error))
    except DataError as error:
        yield Item(index, error=str(error))


def holds_rows(file: Path) -> bool:
    """Whether a file's name says that it is a table rather than a text."""
    name = file.name.lower().removesuffix(".gz")
    return name.endswith((".csv", ".tsv", ".parquet", ".pq"))


def _text(index: int, file: Path, takes: TensorInput) -> Item:
    content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return Item(index, error=f"is not UTF-8 text: {error.reason} at byte {error.start}")
    return Item(index, tensors={takes.tensors[0].tensor: content})


def _rows(index: int, file: Path, takes: TensorInput) -> Iterator[Item]:
    ragged: dict[int, str] = {}

    def note(place: int, count: int) -> None:
        ragged[place] = f"has {count} values, which is not the number of columns"

    for piece in read_rows(file, takes, note):
        last = int(piece.places[-1]) if len(piece.places) else -1
        # Rows are read ahead: those behind this piece have to wait.
        before = {place: reason for place, reason in ragged.items() if place < last}
        for place in before:
            del ragged[place]
        yield from _in_order(index, piece, before)
    yield from (Item(index, place + 1, error=reason) for place, reason in sorted(ragged.items()))


def _in_order(index: int, piece: RowTensors, ragged: dict[int, str]) -> Iterator[Item]:
    waiting = sorted(ragged.items())
    for number, place in enumerate(piece.places.tolist()):
        while waiting and waiting[0][0] < place:
            bad, reason = waiting.pop(0)
            yield Item(index, bad + 1, error=reason)
        if number in piece.problems:
            yield Item(index, place + 1, error=piece.problems[number])
        else:
            yield Item(index, place + 1, {tensor: values[number] for tensor, values in piece.values.items()})


def _arrays(index: int, file: Path, takes: TensorInput) -> Iterator[Item]:
    try:
        arrays = _load(file, takes)
    except (ValueError, EOFError) as error:
        yield Item(index, error=f"is not a NumPy file that can be used: {' '.join(str(error).split())}")
        return
    for each in takes.tensors:
        given = arrays[each.tensor].shape[1:]
        if len(given) != len(each.shape) or any(b not in (None, a) for a, b in zip(given, each.shape, strict=True)):
            yield Item(index, error=f"{each.name or each.tensor} holds examples of shape {given}, not {each.shape}")
            return
    for row in range(min(len(values) for values in arrays.values())):
        yield Item(index, row + 1, {tensor: values[row] for tensor, values in arrays.items()})


def _load(file: Path, takes: TensorInput) -> dict[str, Any]:
    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        if len(takes.tensors) > 1:
            raise ValueError("it holds one array, and the model takes several: give an .npz file")
        return {takes.tensors[0].tensor: loaded}
    with loaded:
        keys = {each.tensor: each.name or each.tensor for each in takes.tensors}
        if missing := [key for key in keys.values() if key not in loaded.files]:
            raise ValueError(f"it has no array {', '.join(missing)}; it has {', '.join(loaded.files)}")
        return {tensor: loaded[key] for tensor, key in keys.items()}
