"""Decodes image files into one array per split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuner.data.array_file import RowWriter
from tuner.data.bad_files import BadFile, bad_files_error, unreadable_reason
from tuner.data.columns import ArrayWriter
from tuner.data.decode import UndecodableImage, file_decoder
from tuner.data.image_files import ImageFile, Scan, source_roots
from tuner.data.parallel import map_chunks
from tuner.data.prepared import FileOrigin, InputFacts, Split, TargetFacts, input_stem, open_split, target_stem
from tuner.data.splits import TRAIN, drawn, split_fractions, stratified
from tuner.spec import ImageDirectory

_Decoder = Callable[[bytes], npt.NDArray[np.uint8]]
_Problems = dict[ImageFile, str]


def write_arrays(
    data: ImageDirectory,
    found: Scan,
    unreadable: Mapping[ImageFile, str],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, Split], list[BadFile]]:
    """Writes each split's images and labels into a folder.

    Splits are drawn from the files that can be decoded. Where some cannot, that is known after a
    first pass only, and a second one decodes the rest: rare, and no array is ever rearranged.

    Args:
        unreadable: files already known to be bad, with the reason.
        progress: called with (files decoded, files to decode).

    Returns:
        The splits by name, and the files left out.

    Raises:
        DataError: files are bad and ``on_error`` is ``fail``, or too few are left of a class.
        OSError: the folder cannot be written.
    """
    decoder = file_decoder(data.image_size, data.channels)
    shape = (*data.image_size, data.channels)
    problems: _Problems = dict(unreadable)
    while True:
        assigned = _assign(data, found, problems)
        corrupt = _decode_all(assigned, shape, decoder, folder, progress)
        problems.update(corrupt)
        if problems and data.on_error == "fail":
            raise bad_files_error("cannot be used", _where(data), _in_order(found, problems))
        if not corrupt:
            break
    facts = facts_of(data, found)
    splits = {name: _finish(name, files, facts, folder) for name, files in assigned.items()}
    return splits, _in_order(found, problems)


def _where(data: ImageDirectory) -> str:
    return ", ".join(source_roots(data).values())


def _assign(data: ImageDirectory, found: Scan, problems: _Problems) -> dict[str, list[ImageFile]]:
    """Which files go to which split, in the order of the scan."""
    # With `fail` the bad files are still counted in, so that the error names all of them.
    left_out = problems if data.on_error == "skip" else {}
    usable = {source: [file for file in files if file not in left_out] for source, files in found.sources.items()}
    assigned: dict[str, list[ImageFile]] = {}
    for source, files in usable.items():
        fractions = split_fractions(data) if source == TRAIN else {source: 1.0}
        if data.labels == "none":
            chosen = drawn(len(files), fractions, data.seed)
        else:
            labels = np.fromiter((file.label for file in files), np.int64, len(files))
            chosen = stratified(labels, fractions, data.seed, found.class_names)
        assigned.update({name: [files[i] for i in rows] for name, rows in chosen.items()})
    return assigned


def _decode_all(
    assigned: Mapping[str, list[ImageFile]],
    shape: tuple[int, ...],
    decoder: _Decoder,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> _Problems:
    """Writes the images of every split; files that cannot be decoded leave zeros behind."""
    problems: _Problems = {}
    total = sum(len(files) for files in assigned.values())
    done = 0
    for name, files in assigned.items():
        with RowWriter(folder / f"{input_stem(name, 0)}.npy", (len(files), *shape)) as writer:
            work = partial(_decode_rows, files, decoder, writer)
            for count, bad in map_chunks(work, len(files)):
                problems.update(bad)
                done += count
                if progress is not None:
                    progress(done, total)
    return problems


def _decode_rows(files: list[ImageFile], decoder: _Decoder, writer: RowWriter, rows: range) -> tuple[int, _Problems]:
    problems: _Problems = {}
    for row in rows:
        try:
            pixels = decoder(Path(files[row].absolute).read_bytes())
        except UndecodableImage as error:
            problems[files[row]] = str(error)
        except OSError as error:
            problems[files[row]] = unreadable_reason(error)
        else:
            writer.write(row, pixels)
    return len(rows), problems


def facts_of(data: ImageDirectory, found: Scan) -> tuple[tuple[InputFacts, ...], tuple[TargetFacts, ...]]:
    """What the columns will be: uint8 images and, unless there are no labels, int64 classes."""
    image = InputFacts(kind="image", shape=(*data.image_size, data.channels), dtype="float32")
    if data.labels == "none":
        return (image,), ()
    return (image,), (TargetFacts(task="classification", dtype="int64", class_names=found.class_names),)


def _finish(
    name: str,
    files: list[ImageFile],
    facts: tuple[tuple[InputFacts, ...], tuple[TargetFacts, ...]],
    folder: Path,
) -> Split:
    """Writes a split's labels and describes it."""
    if facts[1]:
        with ArrayWriter(folder, target_stem(name, 0), np.int64) as writer:
            writer.write(np.fromiter((file.label for file in files), np.int64, len(files)))
    return open_split(folder, name, *facts, FileOrigin(files[0].root, tuple(file.path for file in files)))


def _in_order(found: Scan, problems: _Problems) -> list[BadFile]:
    return [
        BadFile(file.shown, problems[file]) for files in found.sources.values() for file in files if file in problems
    ]
