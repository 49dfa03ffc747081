"""What every kind of data source provides: found and identified, then written as columns once per node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tuner.data.prepared import PreparedData

Progress = Callable[[int, int], None]


class DataSource(Protocol):
    """Data that is found, checked as far as that needs no decoding, and identified.

    Attributes:
        fingerprint: SHA-256 (64 hexadecimal digits) of everything that the columns depend on. The same data in another
            place, or on another machine, has the same fingerprint.
        folder_name: of the folder in the node's cache; differs wherever the columns may.
    """

    fingerprint: str
    folder_name: str

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """Writes every split's columns into an empty folder; the caller writes ``meta.json`` and renames the folder.

        Args:
            progress: called with (examples done, examples in all). It may start again from 0 once.

        Raises:
            DataError: examples cannot be used, or too few are left.
            OSError: the folder cannot be written.
        """

    def as_found(self, prepared: PreparedData) -> PreparedData:
        """The prepared data with what may have changed though the columns did not: the place of the raw examples.

        Returns:
            ``prepared`` itself if nothing has changed.
        """
