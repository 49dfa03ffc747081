"""What is to be predicted, one example at a time, out of files of every kind."""

from __future__ import annotations

import codecs
import zipfile
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.champion.model.tensors import IMAGE_BYTES
from tuner.champion.prediction.json_lines import BadLine, example_of
from tuner.champion.prediction.line_stream import LONGEST_MIB, Line, lines_of
from tuner.champion.records.champion_json import ChampionInput, ImageInput, TensorInput
from tuner.data.bad_files import unreadable_reason
from tuner.data.values import PICKLED
from tuner.errors import DataError

if TYPE_CHECKING:
    from tuner.champion.model.table_rows import RowTensors


@dataclass(frozen=True, eq=False)
class Item:
    """An example, or what is wrong with it.

    Attributes:
        file: the place of its file among those given.
        row: from 1, of a file with rows or lines.
        tensors: its values by tensor.
        named: the file that a line names.
    """

    file: int
    row: int | None = None
    tensors: dict[str, Any] | None = None
    error: str | None = None
    named: str | None = None


@dataclass(frozen=True)
class FileEnd:
    """All examples of the file of that place have been read."""

    file: int


@dataclass(frozen=True)
class Pause:
    """Nothing more is there to be read yet."""


def all_items(files: Sequence[Path | int], takes: ChampionInput) -> Iterator[Item | FileEnd | Pause]:
    """The examples of all files, and where each ends.

    Args:
        files: paths, and descriptors that JSON lines are read from.
    """
    for index, file in enumerate(files):
        yield from line_items(index, file, takes) if isinstance(file, int) else items_of(index, file, takes)
        yield FileEnd(index)


def line_items(index: int, descriptor: int, takes: ChampionInput) -> Iterator[Item | Pause]:
    """The examples on JSON lines, by their number."""
    try:
        for line in lines_of(descriptor):
            yield _line_item(index, line, takes) if line else Pause()
    except OSError as error:
        yield Item(index, error=unreadable_reason(error))


def _line_item(index: int, line: Line, takes: ChampionInput) -> Item:
    if line.content is None:
        return Item(index, line.number, error=f"is longer than {LONGEST_MIB} MiB")
    try:
        found = example_of(line.content, takes)
    except BadLine as error:
        return Item(index, line.number, error=str(error))
    return Item(index, line.number, found.tensors, named=found.file)


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
    # Images and texts need no Arrow.
    from tuner.champion.model.table_rows import read_rows

    ragged = _RaggedRows()
    for piece in read_rows(file, takes, ragged.add):
        last = int(piece.places[-1]) if len(piece.places) else -1
        # Rows are read ahead: those behind this piece have to wait.
        yield from _in_order(index, piece, ragged.take(before=last))
    yield from (Item(index, place + 1, error=reason) for place, reason in ragged.take())


class _RaggedRows:
    """Rows with the wrong number of cells, which may be all that a large file has: 16 bytes each."""

    def __init__(self) -> None:
        self._found = array("q")

    def add(self, place: int, count: int) -> None:
        self._found.extend((place, count))

    def take(self, before: int | None = None) -> Iterator[tuple[int, str]]:
        """The place of each and what is wrong with it, in order; they are forgotten."""
        places = self._found[::2]
        end = 2 * (len(places) if before is None else bisect_left(places, before))
        taken = self._found[:end]
        del self._found[:end]
        for place, count in zip(taken[::2], taken[1::2], strict=True):
            yield place, f"has {count} values, which is not the number of columns"


def _in_order(index: int, piece: RowTensors, ragged: Iterator[tuple[int, str]]) -> Iterator[Item]:
    waiting = next(ragged, None)
    for number, place in enumerate(piece.places.tolist()):
        while waiting and waiting[0] < place:
            yield Item(index, waiting[0] + 1, error=waiting[1])
            waiting = next(ragged, None)
        if number in piece.problems:
            yield Item(index, place + 1, error=piece.problems[number])
        else:
            yield Item(index, place + 1, {tensor: values[number] for tensor, values in piece.values.items()})


def _arrays(index: int, file: Path, takes: TensorInput) -> Iterator[Item]:
    try:
        arrays = _load(file, takes)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        yield Item(index, error=_not_arrays(error))
        return
    for each in takes.tensors:
        given = arrays[each.tensor].shape[1:]
        if len(given) != len(each.shape) or any(b not in (None, a) for a, b in zip(given, each.shape, strict=True)):
            yield Item(index, error=f"{each.name or each.tensor} holds examples of shape {given}, not {each.shape}")
            return
    for row in range(min(len(values) for values in arrays.values())):
        yield Item(index, row + 1, {tensor: values[row] for tensor, values in arrays.items()})


def _not_arrays(error: Exception) -> str:
    said = " ".join(str(error).split())
    if "Object arrays" in said:
        return PICKLED
    if "allow_pickle" in said:
        # NumPy takes whatever it does not know for a pickle, and tells people to read it as one.
        said = "it is neither .npy nor .npz, and pickles are not read because they could run any code"
    return f"is not a NumPy file that can be used: {said}"


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
