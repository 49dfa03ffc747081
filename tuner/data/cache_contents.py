"""What this node's cache of prepared data holds, what of it is in use, and what makes room when it grows too large.

A process that has data open holds its folder by a shared lock until it ends; what is held is never removed. What has
not been opened for the longest time goes first.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from tuner.errors import DataError

LIMIT_VARIABLE = "TUNER_CACHE_LIMIT"
_USUAL_LIMIT = "100G"
_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NAME = re.compile(r"(images|npz|python|rows|texts)-[0-9a-f]{32}-layout-\d+[\w.-]*(?<!\.lock)")
# By device and inode.
_held: dict[tuple[int, int], int] = {}


@dataclass(frozen=True)
class CachedData:
    """Prepared data on this node.

    Attributes:
        name: of its folder in the cache.
        data: where it came from, as far as that can be read.
        bytes: that its files have together.
        used_at: when a process opened it last, UTC.
        in_use: a process has it open.
    """

    name: str
    data: str | None
    bytes: int
    used_at: datetime
    in_use: bool


@dataclass(frozen=True)
class Cleared:
    """What became of a cache that was cleared.

    Attributes:
        removed: what went.
        in_use: how much stays since a process has it open or makes it.
        failed: how much could not be removed for another reason, such as a folder that is somebody else's.
    """

    removed: tuple[CachedData, ...]
    in_use: int
    failed: int


def keep_open(folder: Path) -> None:
    """Holds a folder of prepared data for as long as this process lives, and notes that it was used."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        about = os.fstat(descriptor)
        # What has been prepared again has the same name, and is another folder.
        if _held.setdefault((about.st_dev, about.st_ino), descriptor) is not descriptor:
            os.close(descriptor)
            return
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.utime(folder)


def contents(root: Path) -> list[CachedData]:
    """What the cache holds, the data that was used last first."""
    return sorted((_look(folder) for folder in _folders(root)), key=lambda each: each.used_at, reverse=True)


def limit() -> int:
    """How many bytes of prepared data a node keeps, unless more is in use. Raises DataError."""
    given = os.environ.get(LIMIT_VARIABLE) or _USUAL_LIMIT
    match = re.fullmatch(r"(\d+)([KMGT])", given.strip().upper())
    if match is None:
        raise DataError(f"${LIMIT_VARIABLE} is {given!r}: it must be a number and a unit, K, M, G or T, such as 50G")
    return int(match[1]) * _SIZES[match[2]]


def make_room(root: Path, keep: Path) -> list[str]:
    """Removes data until what is left is within the limit; gives the names of what went.

    Args:
        keep: what is needed now.

    Raises:
        DataError: the limit is no size.
    """
    most = limit()
    found = contents(root)
    return _remove(root, [each for each in found if each.name != keep.name], sum(each.bytes for each in found) - most)


def free_up(root: Path, keep: Path, missing: int) -> list[str]:
    """Removes data until so many bytes more are free; gives the names of what went.

    Nothing goes where all that no process has open would not be enough.

    Args:
        keep: what is needed now.
    """
    unused = [each for each in contents(root) if each.name != keep.name and not each.in_use]
    return _remove(root, unused, missing) if sum(each.bytes for each in unused) >= missing else []


def clear(root: Path) -> Cleared:
    """Removes all data that no process has open."""
    ends = [(each, _remove_unless_used(root / each.name)) for each in reversed(contents(root))]
    kept = Counter(end for _, end in ends)
    return Cleared(tuple(each for each, end in ends if end == "removed"), kept["in use"], kept["failed"])


def _remove(root: Path, candidates: Sequence[CachedData], too_many: int) -> list[str]:
    gone: list[str] = []
    for each in reversed(candidates):
        if too_many <= 0:
            break
        if _remove_unless_used(root / each.name) == "removed":
            gone.append(each.name)
            too_many -= each.bytes
    return gone


def _remove_unless_used(folder: Path) -> Literal["removed", "in use", "gone", "failed"]:
    """Removes what nobody has open or is making; what another process removed meanwhile is gone."""
    try:
        with FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0), _exclusive(folder) as is_free:
            if not is_free:
                return "in use"
            trash = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
            os.replace(folder, trash)
    except Timeout:
        return "in use"
    except FileNotFoundError:
        return "gone"
    except OSError:
        return "failed"
    shutil.rmtree(trash, ignore_errors=True)
    return "removed"


@contextmanager
def _exclusive(folder: Path) -> Iterator[bool]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def _folders(root: Path) -> list[Path]:
    with suppress(OSError):
        return [each for each in root.iterdir() if _NAME.fullmatch(each.name) and each.is_dir()]
    return []


def _look(folder: Path) -> CachedData:
    size, used = 0, time.time()
    with suppress(OSError):
        used = folder.stat().st_mtime
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                size += Path(parent, name).lstat().st_size
    return CachedData(folder.name, _origin(folder), size, datetime.fromtimestamp(used, UTC), _is_used(folder))


def _origin(folder: Path) -> str | None:
    with suppress(OSError, ValueError, AttributeError, StopIteration):
        splits = json.loads((folder / "meta.json").read_bytes())["splits"].values()
        return next(str(each.get("root") or each.get("source")) for each in splits)
    return None


def _is_used(folder: Path) -> bool:
    with suppress(OSError), _exclusive(folder) as is_free:
        return not is_free
    return False
