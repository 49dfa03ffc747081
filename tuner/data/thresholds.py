"""Where the training split's columns of numbers can be divided: found once per node, kept beside the data."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import FileLock

from search_spaces.statistics import Thresholds
from search_spaces.tables.thresholds import thresholds_of
from tuner.data.bad_files import printable
from tuner.data.classes import classes_of
from tuner.data.columns import ArrayColumn
from tuner.data.hashes import read_checked, with_digest
from tuner.data.prepared import PreparedData
from tuner.data.splits import TRAIN
from tuner.errors import DataError

# Of the file described here, and of what is found.
_LAYOUT = 1


def can_find_thresholds(data: PreparedData) -> bool:
    """Whether there are numbers and one target that says where to divide them."""
    return len(data.targets) == 1 and any(each.kind == "number" for each in data.inputs)


def find_thresholds(data: PreparedData) -> Mapping[str, Thresholds]:
    """Finds the thresholds of all columns of numbers from the training split, or reads what was found before.

    Processes that want them at once wait for one of them.

    Raises:
        DataError: they cannot be written.
    """
    file = data.folder / f"thresholds-{_LAYOUT}.json"
    try:
        with FileLock(file.with_name(f".{file.name}.lock")):
            found = _read(file)
            if found is None:
                found = _found(data)
                _write(file, found)
            return found
    except OSError as error:
        raise DataError(
            f"thresholds of columns cannot be written to {printable(os.fspath(data.folder))}: {error.strerror}; free "
            "space there, or name another folder in the environment variable TUNER_CACHE"
        ) from error


def _found(data: PreparedData) -> dict[str, Thresholds]:
    split, (target,) = data.split(TRAIN), data.targets
    y = np.asarray(split.targets[0])
    classes = target.task == "classification"
    learned = classes_of(target, y) if classes else y.reshape(len(y), -1).astype(np.float64)
    found = {
        facts.name: thresholds_of(np.asarray(column.values), learned, "classes" if classes else "numbers")
        for facts, column in zip(data.inputs, split.inputs, strict=True)
        if facts.kind == "number" and isinstance(column, ArrayColumn)
    }
    return {name: each for name, each in found.items() if each.distinct}


def _read(file: Path) -> dict[str, Thresholds] | None:
    try:
        stored = read_checked(file)
    except (FileNotFoundError, ValueError):
        return None
    return {name: Thresholds(tuple(each["telling"]), tuple(each["distinct"])) for name, each in stored["found"].items()}


def _write(file: Path, found: Mapping[str, Thresholds]) -> None:
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        stored = with_digest({"found": {name: asdict(each) for name, each in found.items()}})
        temporary.write_text(json.dumps(stored), encoding="ascii")
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
