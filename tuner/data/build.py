"""Decodes image files into one array per split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuner.data.array_file import RowWriter
from tuner.data.bad_files import BadFile, bad_files_error, unreadable_reason
from tuner.data.class_folders import LabelledFile, Scan, source_roots
from tuner.data.decode import UndecodableImage, file_decoder
from tuner.data.folder_source import Problems, assigned_files, in_order, origin_of, write_classes
from tuner.data.parallel import map_chunks
from tuner.data.prepared import InputFacts, Split, TargetFacts, input_stem, open_split
from tuner.spec.data import ImageDirectory

_Decoder = Callable[[bytes], npt.NDArray[np.uint8]]


def write_arrays(
    data: ImageDirectory,
    found: Scan,
    unreadable: Mapping[LabelledFile, str],
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
    problems: Problems = dict(unreadable)
    while True:
        assigned = assigned_files(data, found, problems)
        corrupt = _decode_all(assigned, shape, decoder, folder, progress)
        problems.update(corrupt)
        if problems and data.on_error == "fail":
            raise bad_files_error("cannot be used", _where(data), in_order(found, problems))
        if not corrupt:
            break
    facts = facts_of(data, found)
    if facts[1]:
        write_classes(assigned, folder)
    splits = {name: open_split(folder, name, *facts, origin_of(files)) for name, files in assigned.items()}
    return splits, in_order(found, problems)


def _where(data: ImageDirectory) -> str:
    return ", ".join(source_roots(data).values())


def _decode_all(
    assigned: Mapping[str, list[LabelledFile]],
    shape: tuple[int, ...],
    decoder: _Decoder,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> Problems:
    """Writes the images of every split; files that cannot be decoded leave zeros behind."""
    problems: Problems = {}
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


def _decode_rows(files: list[LabelledFile], decoder: _Decoder, writer: RowWriter, rows: range) -> tuple[int, Problems]:
    problems: Problems = {}
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
