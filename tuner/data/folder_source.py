"""What folders of files as data sources share: files found, read, identified, and found again in another place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tuner.data.bad_files import BadFile
from tuner.data.class_folders import FileKind, FolderSpec, LabelledFile, Scan, scan, source_roots
from tuner.data.columns import ArrayWriter
from tuner.data.fingerprint import contents, fingerprint
from tuner.data.prepared import FileOrigin, PreparedData, Split, target_stem
from tuner.data.splits import TRAIN, drawn, split_fractions, stratified

Problems = dict[LabelledFile, str]


class FolderSource:
    """Every call reads and hashes all files, so a changed file is never overlooked.

    Args:
        kind: the files to look for.
        settings: of the spec, that the columns depend on.
        problem_of: says of a file's content why it cannot be used.

    Attributes:
        found: the files.
        problems: those that cannot be used, with the reason.
        fingerprint: as of ``DataSource``.

    Raises:
        DataError: the folders or files cannot be used.
    """

    def __init__(
        self,
        data: FolderSpec,
        kind: FileKind,
        settings: Mapping[str, Any],
        problem_of: Callable[[bytes], str | None] | None = None,
    ) -> None:
        self.data = data
        self.found = scan(data, kind)
        by_source = {source: contents(files, problem_of) for source, files in self.found.sources.items()}
        self.problems: Problems = {
            file: content.problem
            for source, files in self.found.sources.items()
            for file, content in zip(files, by_source[source], strict=True)
            if content.problem
        }
        shared = {
            "kind": data.kind,
            "fractions": split_fractions(data),
            "seed": data.seed,
            "on_error": data.on_error,
        }
        self.fingerprint = fingerprint(shared | dict(settings), self.found, by_source)

    def as_found(self, prepared: PreparedData) -> PreparedData:
        """As ``DataSource.as_found``: the folders, and the files of unsupported types."""
        roots = source_roots(self.data)
        splits = {name: _at(split, roots.get(name, roots[TRAIN])) for name, split in prepared.splits.items()}
        supported = {file.shown for files in self.found.sources.values() for file in files}
        unusable = (bad for bad in prepared.bad_files if bad.file in supported)
        bad_files = (*self.found.rejected, *unusable)
        moved = any(split.origin != prepared.splits[name].origin for name, split in splits.items())
        if not moved and bad_files == prepared.bad_files:
            return prepared
        return replace(prepared, splits=splits, bad_files=bad_files)


def _at(split: Split, root: str) -> Split:
    assert isinstance(split.origin, FileOrigin)
    return replace(split, origin=FileOrigin(root, split.origin.files))


def assigned_files(
    data: FolderSpec, found: Scan, problems: Mapping[LabelledFile, str]
) -> dict[str, list[LabelledFile]]:
    """Which files go to which split, in the order of the scan.

    Raises:
        DataError: too few files are left of a class.
    """
    # With `fail` the bad files are still counted in, so that the error names all of them.
    left_out = problems if data.on_error == "skip" else {}
    usable = {source: [file for file in files if file not in left_out] for source, files in found.sources.items()}
    assigned: dict[str, list[LabelledFile]] = {}
    for source, files in usable.items():
        fractions = split_fractions(data) if source == TRAIN else {source: 1.0}
        if found.class_names:
            labels = np.fromiter((file.label for file in files), np.int64, len(files))
            chosen = stratified(labels, fractions, data.seed, found.class_names)
        else:
            chosen = drawn(len(files), fractions, data.seed)
        assigned.update({name: [files[i] for i in rows] for name, rows in chosen.items()})
    return assigned


def write_classes(assigned: Mapping[str, Sequence[LabelledFile]], folder: Path) -> None:
    """Writes every split's classes, int64 (n,)."""
    for name, files in assigned.items():
        with ArrayWriter(folder, target_stem(name, 0), np.int64) as writer:
            writer.write(np.fromiter((file.label for file in files), np.int64, len(files)))


def origin_of(files: Sequence[LabelledFile]) -> FileOrigin:
    """Where a split's files, at least one, are."""
    return FileOrigin(files[0].root, tuple(file.path for file in files))


def in_order(found: Scan, problems: Mapping[LabelledFile, str]) -> list[BadFile]:
    """The bad files in the order of the scan."""
    return [
        BadFile(file.shown, problems[file]) for files in found.sources.values() for file in files if file in problems
    ]
