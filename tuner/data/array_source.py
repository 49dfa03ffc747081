"""Writes examples that come as arrays: kinds and tasks found, divided among splits, and everything copied in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.statistics import INTEGER_MISSING
from tuner.data.array_targets import ArrayTarget, array_target
from tuner.data.array_weights import UNUSABLE, ArrayWeights, array_weights
from tuner.data.bad_rows import BadRows
from tuner.data.columns import ArrayWriter, StringWriter
from tuner.data.dividing import divided
from tuner.data.prepared import (
    InputFacts,
    PreparedData,
    RowOrigin,
    TargetFacts,
    input_stem,
    open_split,
    target_stem,
    weight_stem,
)
from tuner.data.running_statistics import CategorySummary, NumberSummary, TargetMoments, TextSummary
from tuner.data.source import Progress
from tuner.data.split_files import write_rows, write_target
from tuner.data.splits import TRAIN, Indices
from tuner.data.structures import DICT, SINGLE
from tuner.data.values import Values, kept_dtype
from tuner.errors import DataError
from tuner.spec.data import Npz, Python

_Summary = NumberSummary | CategorySummary | TextSummary

# Of larger targets, such as images, nobody needs the mean of every number.
_MOST_MOMENTS = 4096
_TASK = "data.task"


@dataclass(frozen=True, eq=False)
class Examples:
    """What a source gives for a split.

    Attributes:
        inputs: by name.
        targets: likewise; empty without labels.
        weights: likewise; empty where all weigh the same.
    """

    inputs: Mapping[str, Values]
    targets: Mapping[str, Values]
    weights: Mapping[str, Values]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def columns(self) -> Iterator[tuple[str, Values]]:
        """Everything that has one value for each example, with the name that errors use."""
        yield from ((f"input {name!r}" if name else "x", values) for name, values in self.inputs.items())
        yield from ((f"target {name!r}" if name else "y", values) for name, values in self.targets.items())
        yield from ((f"weights {name!r}" if name else "the weights", values) for name, values in self.weights.items())


@dataclass(frozen=True, eq=False)
class ArrayData:
    """All splits of a source that gives arrays.

    Attributes:
        given: examples by split; ``train`` always.
        shown: the source as errors name it.
        places: by split, what ``RowOrigin`` calls the source.
        structure: of the inputs, see ``tuner.data.structures``; ``target_structure`` and ``weight_structure`` likewise.
        from_arrays: Keras makes float32 of their floats; else they stay what they are.
        wrapped: without labels, inputs reach a model as ``(x,)``.
        notes: what was decided about the source, for people.
    """

    given: Mapping[str, Examples]
    shown: str
    places: Mapping[str, str]
    structure: str = SINGLE
    target_structure: str = SINGLE
    weight_structure: str = SINGLE
    from_arrays: bool = True
    wrapped: bool = False
    notes: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether the inputs are a table's columns: a dict of single values."""
        inputs = self.given[TRAIN].inputs.values()
        return self.structure == DICT and all(values.shape == () for values in inputs)


def write_arrays(
    data: Npz | Python, arrays: ArrayData, fingerprint: str, folder: Path, progress: Progress | None
) -> PreparedData:
    """Writes everything.

    Raises:
        DataError: splits or columns do not fit together, or examples cannot be used.
    """
    _check(arrays)
    train = arrays.given[TRAIN]
    targets = [_target(data, arrays, name) for name in train.targets]
    offsets = np.cumsum([0, *(len(each) for each in arrays.given.values())])
    weights = _weights(arrays)
    usable, bad = _usable(arrays, offsets, targets, weights)
    left_out = int((~usable).sum())
    if left_out and data.on_error == "fail":
        raise bad.error(left_out, arrays.shown)
    given = {
        name: (np.flatnonzero(usable[start:end]) + start).astype(np.int64)
        for name, start, end in zip(arrays.given, offsets, offsets[1:], strict=False)
    }
    place = np.concatenate([np.arange(len(each), dtype=np.int64) for each in arrays.given.values()])
    single = targets[0].classes if len(targets) == 1 else None
    assigned = divided(data, given, single, lambda row: f"example {place[row]}")
    inputs = _write_inputs(arrays, assigned, folder, progress)
    facts = tuple(_write_target(target, assigned, folder, i) for i, target in enumerate(targets))
    for i, (each, parts) in enumerate(zip(weights.facts, weights.parts, strict=True)):
        stems = {split: weight_stem(split, i) for split in assigned}
        _write_numbers(parts, each.dtype, each.shape, stems, assigned, folder, None)
    write_rows(place, assigned, folder)
    return PreparedData(
        folder=folder,
        fingerprint=fingerprint,
        kind=data.kind,
        inputs=inputs,
        targets=facts,
        splits={
            name: open_split(folder, name, inputs, facts, RowOrigin(arrays.places[name], place[rows]), weights.facts)
            for name, rows in assigned.items()
        },
        bad_files=bad.first,
        left_out=left_out,
        structure=arrays.structure,
        target_structure=arrays.target_structure,
        weights=weights.facts,
        weight_structure=weights.structure,
        wrapped=arrays.wrapped,
        notes=arrays.notes,
    )


def _check(arrays: ArrayData) -> None:
    expected = [(what, values.shape, values.dtype.kind) for what, values in arrays.given[TRAIN].columns()]
    for split, examples in arrays.given.items():
        found = [(what, values.shape, values.dtype.kind) for what, values in examples.columns()]
        if found != expected:
            raise DataError(
                f"{arrays.shown}: the {split} data has {_listed(found)}, but the train data {_listed(expected)}: they "
                "must match"
            )
        lengths = {what: len(values) for what, values in examples.columns()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{what} has {length}" for what, length in lengths.items())
            raise DataError(f"{arrays.shown}: the arrays of the {split} data differ in length: {said} examples")
        if not len(examples):
            raise DataError(f"{arrays.shown}: the {split} data is empty")


def _listed(found: Sequence[tuple[str, tuple[int, ...], str]]) -> str:
    kinds = {"f": "floats", "i": "integers", "u": "unsigned integers", "b": "booleans", "O": "strings"}
    return ", ".join(f"{what} {shape} of {kinds.get(kind, kind)}" for what, shape, kind in found)


def _target(data: Npz | Python, arrays: ArrayData, name: str) -> ArrayTarget:
    several = len(arrays.given[TRAIN].targets) > 1
    if several and data.task != "auto":
        raise DataError(
            f"{arrays.shown}: data.task: {data.task} is for one target; with several, leave it out", key=_TASK
        )
    try:
        parts = [each.targets[name] for each in arrays.given.values()]
        return array_target(name, parts, data.task, arrays.from_arrays)
    except DataError as error:
        raise DataError(f"{arrays.shown}: {error}", key="data" if data.task == "auto" else _TASK) from None


def _weights(arrays: ArrayData) -> ArrayWeights:
    given = [each.weights for each in arrays.given.values()]
    targets = arrays.given[TRAIN].targets
    try:
        return array_weights(given, arrays.weight_structure, targets, arrays.target_structure, arrays.from_arrays)
    except DataError as error:
        raise DataError(f"{arrays.shown}: {error}", key="data") from None


def _usable(
    arrays: ArrayData, offsets: Indices, targets: Sequence[ArrayTarget], weights: ArrayWeights
) -> tuple[npt.NDArray[np.bool_], BadRows]:
    usable = np.ones(offsets[-1], dtype=np.bool_)
    bad = BadRows(tuple(arrays.given), what="example", first=0)
    reasons = [(target.unusable, target.reason) for target in targets]
    weightless = weights.unusable()
    if weightless is not None:
        reasons.append((weightless, UNUSABLE))
    for name, start, end in zip(arrays.given, offsets, offsets[1:], strict=False):
        here = [(unusable[start:end], reason) for unusable, reason in reasons]
        for unusable, reason in [*here, *_text_problems(arrays.given[name], arrays.named)]:
            usable[start:end] &= ~unusable
            bad.add(name, np.flatnonzero(unusable), reason)
    return usable, bad


def _text_problems(examples: Examples, named: bool) -> Iterator[tuple[npt.NDArray[np.bool_], str]]:
    for name, values in examples.inputs.items():
        if values.dtype.hasobject and not values.shape and not named:
            shown = f"the text of input {name!r}" if name else "the text"
            checked = [(_decodable(text), bool(text.strip())) for piece in values.pieces() for text in piece]
            decodable, filled = np.array(checked, dtype=np.bool_).reshape(-1, 2).T
            yield ~decodable, f"{shown} is not UTF-8"
            yield ~filled, f"{shown} is empty"


def _decodable(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _write_inputs(
    arrays: ArrayData, assigned: Mapping[str, Indices], folder: Path, progress: Progress | None
) -> tuple[InputFacts, ...]:
    train = arrays.given[TRAIN].inputs
    total = sum(len(each) for each in arrays.given.values())
    found = []
    for index, (name, values) in enumerate(train.items()):
        facts, summary = _input(name, values, arrays)
        parts = [each.inputs[name] for each in arrays.given.values()]
        with ExitStack() as stack:
            writers: dict[str, ArrayWriter | StringWriter] = {}
            for split in assigned:
                stem, dtype = input_stem(split, index), facts.dtype
                if facts.column == "strings":
                    writers[split] = stack.enter_context(StringWriter(folder, stem))
                else:
                    writers[split] = stack.enter_context(ArrayWriter(folder, stem, dtype, facts.shape))
            for split, piece in _divided_pieces(parts, assigned):
                writers[split].write(piece)
                if split == TRAIN and summary is not None:
                    _add(summary, piece)
        found.append(facts.model_copy(update={"statistics": summary.stored() if summary else None}))
        if progress is not None:
            progress(total * (index + 1) // len(train), total)
    return tuple(found)


def _divided_pieces(parts: Sequence[Values], assigned: Mapping[str, Indices]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Values by split, in order; ``parts`` stand one behind the other."""
    split_of = np.full(sum(len(part) for part in parts), -1, dtype=np.int8)
    for number, rows in enumerate(assigned.values()):
        split_of[rows] = number
    done = 0
    for part in parts:
        for piece in part.pieces():
            here = split_of[done : done + len(piece)]
            done += len(piece)
            for number, split in enumerate(assigned):
                if (here == number).any():
                    yield split, piece[here == number]


def _input(name: str, values: Values, arrays: ArrayData) -> tuple[InputFacts, _Summary | None]:
    """How an input is kept, and what gathers its statistics."""
    dtype, shape, named = values.dtype, values.shape, arrays.named
    if dtype.kind not in "fiubO" or (dtype.hasobject and shape):
        raise DataError(
            f"input {name!r} holds {'strings' if dtype.hasobject else dtype.name} {shape}, which no model takes: give "
            "numbers, or one string for each example"
        )
    if dtype.hasobject:
        kind = "category" if named else "text"
        summary = CategorySummary("") if named else TextSummary()
        return InputFacts(name=name, kind=kind, column="strings", dtype="string"), summary
    kept = kept_dtype(dtype, arrays.from_arrays)
    if named:
        if dtype.kind == "f":
            return InputFacts(name=name, kind="number", dtype=kept), NumberSummary()
        return InputFacts(name=name, kind="integer", dtype=kept), CategorySummary(INTEGER_MISSING)
    image = dtype == np.uint8 and len(shape) == 3 and shape[-1] in (1, 3)
    return InputFacts(name=name, kind="image" if image else "array", shape=shape, dtype=kept), None


def _add(summary: _Summary, piece: npt.NDArray[Any]) -> None:
    if isinstance(summary, NumberSummary):
        summary.add(piece.astype(np.float64))
    elif isinstance(summary, TextSummary):
        summary.add(text.decode("utf-8") for text in piece)
    else:
        values, counts = np.unique(piece, return_counts=True)
        decoded = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values.tolist()]
        summary.add(decoded, counts.tolist())


def _write_target(target: ArrayTarget, assigned: Mapping[str, Indices], folder: Path, index: int) -> TargetFacts:
    facts, parts = target.facts, target.parts
    if parts[0].dtype.hasobject:
        assert target.classes is not None
        return write_target(target.classes, assigned, folder, index)
    moments = (
        TargetMoments(facts.shape) if facts.task == "regression" and np.prod(facts.shape) <= _MOST_MOMENTS else None
    )
    stems = {split: target_stem(split, index) for split in assigned}
    _write_numbers(parts, facts.dtype, facts.shape, stems, assigned, folder, moments)
    return facts.model_copy(update={"statistics": moments.stored() if moments else None})


def _write_numbers(
    parts: Sequence[Values],
    dtype: str,
    shape: tuple[int, ...],
    stems: Mapping[str, str],
    assigned: Mapping[str, Indices],
    folder: Path,
    moments: TargetMoments | None,
) -> None:
    """Writes numbers as they are, and gathers the training split's moments."""
    with ExitStack() as stack:
        writers = {split: stack.enter_context(ArrayWriter(folder, stem, dtype, shape)) for split, stem in stems.items()}
        for split, piece in _divided_pieces(parts, assigned):
            writers[split].write(piece)
            if split == TRAIN and moments is not None:
                moments.add(piece.astype(np.float64))
