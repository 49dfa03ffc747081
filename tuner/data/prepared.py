"""Prepared data as it lies on disk: memory-mapped arrays by split and what is known about them.

A folder of prepared data holds ``meta.json`` and, for each split, ``<split>-images.npy`` and
``<split>-labels.npy``. Reading it needs no TensorFlow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tuner.data.bad_files import LISTED, BadFile, printable
from tuner.data.splits import TRAIN
from tuner.errors import DataError

if TYPE_CHECKING:
    from search_spaces.base import DataSummary

META = "meta.json"


@dataclass(frozen=True, eq=False)
class Split:
    """The examples of one split.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        files: n paths relative to ``root``.
        root: the folder that holds the class folders, absolute.
        labels: shape (n,), int64.
        images: shape (n, height, width, channels), uint8, memory-mapped and read-only.
    """

    name: str
    files: tuple[str, ...]
    root: str
    labels: npt.NDArray[np.int64]
    images: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Data that is decoded, split and on this node's disk.

    Attributes:
        folder: where it lies.
        fingerprint: the identity of the data, 64 hexadecimal digits, the same on every node.
        kind: ``image_directory``.
        input_shape: (height, width, channels).
        class_names: label ``i`` is ``class_names[i]``.
        splits: by name; ``train`` and ``validation`` always, ``test`` if asked for.
        bad_files: the files left out (``on_error: skip``), each with the reason.
    """

    folder: Path
    fingerprint: str
    kind: str
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    bad_files: tuple[BadFile, ...]

    @property
    def skipped(self) -> tuple[str, ...]:
        """The names of the files left out."""
        return tuple(bad.file for bad in self.bad_files)

    def split(self, name: str) -> Split:
        """The split of that name.

        Raises:
            DataError: there is none.
        """
        if name not in self.splits:
            raise DataError(f"there is no split {name!r}; there are {', '.join(self.splits)}")
        return self.splits[name]

    def class_counts(self, name: str) -> tuple[int, ...]:
        """The number of examples of each class in a split, in the order of ``class_names``."""
        counts = np.bincount(self.split(name).labels, minlength=len(self.class_names))
        return tuple(int(count) for count in counts)

    def summary(self) -> DataSummary:
        """What a search space is told. Imports Keras: for trial processes only."""
        from search_spaces.base import DataSummary

        return DataSummary(
            kind=self.kind,
            task="classification",
            input_shape=self.input_shape,
            class_names=self.class_names,
            examples={name: len(split) for name, split in self.splits.items()},
            class_counts=self.class_counts(TRAIN),
        )

    def describe(self) -> dict[str, Any]:
        """What is worth recording with a study, as JSON; file names are made printable."""
        return {
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            "input_shape": list(self.input_shape),
            "class_names": list(self.class_names),
            "splits": {
                name: {
                    "examples": len(split),
                    "class_counts": dict(zip(self.class_names, self.class_counts(name), strict=True)),
                }
                for name, split in self.splits.items()
            },
            "skipped": len(self.bad_files),
            "skipped_files": [{"file": printable(bad.file), "reason": bad.reason} for bad in self.bad_files[:LISTED]],
        }

    def split_records(self, name: str) -> list[dict[str, str]]:
        """The files of a split with their classes: ``{"file": absolute path, "label": class}``.

        Undecodable bytes of a path are lone surrogates (``os.fsencode`` gives the bytes back).

        Raises:
            DataError: there is no such split.
        """
        split = self.split(name)
        return [
            {"file": os.path.join(split.root, file), "label": self.class_names[label]}
            for file, label in zip(split.files, split.labels, strict=True)
        ]


def images_path(folder: Path, split: str) -> Path:
    return folder / f"{split}-images.npy"


def labels_path(folder: Path, split: str) -> Path:
    return folder / f"{split}-labels.npy"


def open_prepared(folder: Path) -> PreparedData:
    """Opens prepared data, without TensorFlow.

    Raises:
        DataError: nothing is there, or it is incomplete.
    """
    try:
        meta = json.loads((folder / META).read_text(encoding="ascii"))
        splits = {name: _open_split(folder, name, item) for name, item in meta["splits"].items()}
        return PreparedData(
            folder=folder,
            fingerprint=meta["fingerprint"],
            kind=meta["kind"],
            input_shape=tuple(meta["input_shape"]),
            class_names=tuple(meta["class_names"]),
            splits=splits,
            bad_files=tuple(BadFile(file, reason) for file, reason in meta["bad_files"]),
        )
    except FileNotFoundError as error:
        raise DataError(f"no prepared data in {folder}: {error.filename} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise DataError(f"the prepared data in {folder} is damaged: {error}") from error


def write_meta(prepared: PreparedData, folder: Path) -> None:
    """Writes ``meta.json``, atomically; it makes a folder of arrays complete."""
    meta = {
        "fingerprint": prepared.fingerprint,
        "kind": prepared.kind,
        "input_shape": prepared.input_shape,
        "class_names": prepared.class_names,
        "splits": {
            name: {"root": split.root, "files": split.files, "shape": split.images.shape}
            for name, split in prepared.splits.items()
        },
        "bad_files": [(bad.file, bad.reason) for bad in prepared.bad_files],
    }
    temporary = folder / f".{META}.{os.getpid()}"
    # ASCII: a lone surrogate, which stands for an undecodable byte, is kept as an escape.
    try:
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(meta, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / META)
    finally:
        temporary.unlink(missing_ok=True)


def _open_split(folder: Path, name: str, item: dict[str, Any]) -> Split:
    images = np.load(images_path(folder, name), mmap_mode="r", allow_pickle=False)
    labels = np.load(labels_path(folder, name), allow_pickle=False)
    files = tuple(item["files"])
    if images.shape != tuple(item["shape"]) or images.dtype != np.uint8:
        raise ValueError(f"{name} images are {images.dtype} {images.shape}")
    if labels.shape != (len(files),) or labels.dtype != np.int64 or len(images) != len(files):
        raise ValueError(f"{name} has {len(files)} files and labels of shape {labels.shape}")
    return Split(name, files, item["root"], labels, images)
