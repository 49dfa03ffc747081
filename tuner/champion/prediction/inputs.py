"""What to predict: files as named, folders searched for files of the kind that the model takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tuner.data.bad_files import unreadable, unreadable_reason
from tuner.data.class_folders import IMAGES, TEXTS

STANDARD_INPUT = "-"
_ROWS = (".csv", ".csv.gz", ".parquet", ".pq")
# By the kind of a champion's input: what a folder is searched for, and what that is called.
_SOUGHT: dict[str, tuple[tuple[str, ...], str]] = {
    "image": (tuple(sorted(IMAGES.extensions)), "images"),
    "text": ((*sorted(TEXTS.extensions), *_ROWS), "texts"),
    "table": (_ROWS, "tables"),
    "arrays": ((".npy", ".npz"), "arrays"),
}


@dataclass(frozen=True)
class Input:
    """A file to read, or the reason why it cannot be; or ``lines`` of standard input, which is called ``-``."""

    file: Path
    error: str | None = None
    lines: bool = False


def expand(inputs: Iterable[Path | str], kind: str = "image") -> Iterator[Input]:
    """The files that inputs stand for, in their order; a folder's in the order of their paths.

    Hidden files and folders inside a folder are left out. A file named by itself is taken whatever its name; the
    string ``-`` is standard input. What is missing or unreadable, and a folder without such files, gives an error.

    Args:
        kind: of a champion's input: ``image``, ``text``, ``table`` or ``arrays``.
    """
    for given in inputs:
        if given == STANDARD_INPUT:
            yield Input(Path(given), lines=True)
        elif os.path.isdir(given):
            yield from _found(Path(given), *_SOUGHT[kind])
        else:
            yield _input(Path(given))


def _found(folder: Path, extensions: tuple[str, ...], called: str) -> Iterator[Input]:
    empty = True
    problems: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = sorted((name for name in folders if name[0] != "."), key=os.fsencode)
        for name in sorted(files, key=os.fsencode):
            if name[0] != "." and name.lower().endswith(extensions):
                empty = False
                yield _input(Path(parent, name))
    for problem in problems:
        yield Input(Path(problem.filename), unreadable_reason(problem))
    if empty and not problems:
        yield Input(folder, f"holds no {called} ({', '.join(extensions)})")


def _input(file: Path) -> Input:
    return Input(file, unreadable(file))
