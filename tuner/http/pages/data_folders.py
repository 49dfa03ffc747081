"""The folders that data over HTTP may be in, to choose from; nothing outside them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuner.spec.policy import leads_into

_MOST = 200
# What a spec's data can be, beside folders.
_FILES = (".csv", ".csv.gz", ".parquet", ".npz")


@dataclass(frozen=True)
class Listing:
    """What is in a folder.

    Attributes:
        path: the folder; None for the list of all that data may be in.
        above: the folder above it, as far as that may be looked at; None there.
        folders, files: their paths, by name.
        left_out: how many more there are.
    """

    path: str | None
    above: str | None
    folders: tuple[str, ...]
    files: tuple[str, ...]
    left_out: int = 0


def listing(roots: Sequence[Path], path: str) -> Listing:
    """The nearest folder at or above a path within the roots; of any other path, the roots themselves."""
    folder = _nearest(roots, path)
    if folder is None:
        return Listing(None, None, tuple(map(str, roots)), ())
    found = sorted(each for each in _inside(roots, folder) if not each.name.startswith("."))
    folders = [str(each) for each in found if each.is_dir()]
    files = [str(each) for each in found if each.name.lower().endswith(_FILES) and each.is_file()]
    above = str(folder.parent) if _is_inside(roots, folder.parent) else ""
    shown = folders[:_MOST], files[:_MOST]
    left_out = len(folders) + len(files) - len(shown[0]) - len(shown[1])
    return Listing(str(folder), above, tuple(shown[0]), tuple(shown[1]), left_out)


def _nearest(roots: Sequence[Path], path: str) -> Path | None:
    if not path.strip() or not roots:
        return None
    with suppress(OSError, ValueError, RuntimeError):
        place = Path(roots[0], path.strip())
        for folder in (place, *place.parents):
            if _is_inside(roots, folder) and folder.is_dir():
                return folder
    return None


def _inside(roots: Sequence[Path], folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if _is_inside(roots, each)]
    except OSError:
        return []


def _is_inside(roots: Sequence[Path], path: Path) -> bool:
    with suppress(OSError, ValueError, RuntimeError):
        return leads_into(roots, path)
    return False
