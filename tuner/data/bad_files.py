"""Files that cannot be used, and the one way in which errors list them."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import DataError

LISTED = 10


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be used and why.

    Attributes:
        file: its name as the user knows it: relative to the data folder, or ``train/...``,
            ``validation/...``, ``test/...`` when these are separate folders.
        reason: what is wrong with it, one line.
    """

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.file)} ({self.reason})"


def printable(name: str) -> str:
    """A file name that any terminal or log can take: newlines and undecodable bytes escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in name
    )


def unreadable_reason(error: OSError) -> str:
    """Why a file could not be read."""
    return f"cannot be read: {error.strerror}"


def unreadable(file: Path) -> str | None:
    """Why a path leads to no file that can be read; None if it may be one."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return unreadable_reason(error)
    return None if stat.S_ISREG(mode) else "is not a regular file"


def bad_files_error(what: str, where: str, bad: Sequence[BadFile]) -> DataError:
    """The error that names the first ten bad files.

    Args:
        what: completes "3 files ...", for example ``cannot be decoded``.
        where: the data folder.
        bad: at least one.
    """
    count = f"{len(bad)} file{'s' if len(bad) != 1 else ''}"
    shown = "; ".join(str(item) for item in bad[:LISTED])
    more = "" if len(bad) <= LISTED else f"; and {len(bad) - LISTED} more"
    return DataError(
        f"{count} under {printable(where)} {what}: {shown}{more}. Repair or remove them, or set data.on_error to skip",
        [item.file for item in bad[:LISTED]],
        key="data.on_error",
    )
