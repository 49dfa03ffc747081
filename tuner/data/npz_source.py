"""A NumPy .npz file as a data source, read as a stream and never unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from tuner.data.array_source import ArrayData, Examples, write_arrays
from tuner.data.bad_files import printable, unreadable_reason
from tuner.data.fingerprint import digest_of, file_sha256
from tuner.data.prepared import LAYOUT, PreparedData, RowOrigin
from tuner.data.source import Progress
from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.data.values import NpzValues
from tuner.errors import DataError, data_at
from tuner.spec.data import Npz

# Of each split, what may stand behind x, y and w.
_SUFFIXES = {TRAIN: ("_train", ""), VALIDATION: ("_val", "_validation"), TEST: ("_test",)}


def arrays_of(data: Npz) -> dict[str, Examples]:
    """The arrays by split; of the file only its list of names is read.

    Raises:
        DataError: it is missing or no .npz file, or its arrays have other names than they should have.
    """
    shown = printable(str(data.path))
    with data_at(data.key_of(TRAIN)):
        try:
            with zipfile.ZipFile(data.path) as file:
                names = [name.removesuffix(".npy") for name in file.namelist()]
        except zipfile.BadZipFile as error:
            raise DataError(f"{shown} is not an .npz file: {error}") from None
        except FileNotFoundError:
            raise DataError(f"{shown} does not exist: check the path in the spec's data") from None
        except OSError as error:
            raise DataError(f"{shown} {unreadable_reason(error)}") from None
        return _by_split(data.path, names)


class NpzSource:
    """Every call reads and hashes the file.

    Raises:
        DataError: it is missing or damaged, or its arrays have other names than they should have.
    """

    def __init__(self, data: Npz) -> None:
        self._data = data
        self._given = arrays_of(data)
        try:
            sha256 = file_sha256(data.path)
        except OSError as error:
            raise DataError(f"{printable(str(data.path))} {unreadable_reason(error)}") from None
        settings = data.model_dump(mode="json", exclude={"path"})
        self.fingerprint = digest_of(settings, [("", sha256.encode("ascii"))])
        self.folder_name = f"npz-{self.fingerprint[:32]}-layout-{LAYOUT}"

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """As ``DataSource.write``."""
        path = str(self._data.path)
        places = dict.fromkeys((TRAIN, VALIDATION, TEST), path)
        arrays = ArrayData(self._given, printable(path), places)
        return write_arrays(self._data, arrays, self.fingerprint, folder, progress)

    def as_found(self, prepared: PreparedData) -> PreparedData:
        """As ``DataSource.as_found``: the file's place."""
        return at_source(prepared, str(self._data.path))


def _by_split(path: Path, names: Collection[str]) -> dict[str, Examples]:
    given, taken = {}, set()
    for split, suffixes in _SUFFIXES.items():
        found = {letter: [f"{letter}{end}" for end in suffixes if f"{letter}{end}" in names] for letter in "xyw"}
        taken |= {name for several in found.values() for name in several}
        twice = next((several for several in found.values() if len(several) > 1), None)
        if twice:
            raise DataError(f"{printable(str(path))} has both {twice[0]!r} and {twice[1]!r}: keep one of them")
        if found["x"]:
            x, y, w = ([NpzValues(path, name) for name in found[letter]] for letter in "xyw")
            given[split] = Examples({"": x[0]}, {"": y[0]} if y else {}, {"": w[0]} if w else {})
    other = sorted(set(names) - taken)
    if TRAIN not in given or other:
        wrong = f"also has {', '.join(map(repr, other))}" if TRAIN in given else f"has {', '.join(map(repr, names))}"
        raise DataError(
            f"{printable(str(path))} {wrong}: arrays are named x and y (and w for weights), or x_train, y_train, "
            "x_val, y_val, x_test, y_test"
        )
    return given


def at_source(prepared: PreparedData, source: str) -> PreparedData:
    """The prepared data with the place where its rows are now; itself if that is where they were."""
    origins = {name: split.origin for name, split in prepared.splits.items()}
    if all(isinstance(origin, RowOrigin) and origin.source == source for origin in origins.values()):
        return prepared
    splits = {
        name: replace(split, origin=RowOrigin(source, split.origin.rows))
        for name, split in prepared.splits.items()
        if isinstance(split.origin, RowOrigin)
    }
    return replace(prepared, splits=splits)
