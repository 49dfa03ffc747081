"""Answers questions about the workers that engines run, which the engines are asked for too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from storage import launches as stored_launches
from tuner.errors import LaunchError
from tuner.queries.logs import pieces
from tuner.study.open_study import opened_study
from tuner.study.storage_access import Storage

if TYPE_CHECKING:
    from tuner.launch.launches import LaunchView


def worker_log(study: str, worker: str, *, storage: Storage = None) -> Iterator[bytes]:
    """What a worker has printed, in pieces.

    Args:
        worker: its name in a launch, or its id.

    Raises:
        LaunchError: there is no such worker, or its log cannot be reached from this machine.
    """
    from tuner.launch.launches import log_of

    with opened_study(study, storage) as found:
        try:
            return log_of(found, worker)
        except LaunchError:
            # The engine may be out of reach, or have forgotten it.
            kept = found.artifacts.worker_logs(worker)
            if not kept:
                raise
            return pieces(found.artifacts, kept)


def list_launches(study: str, *, storage: Storage = None) -> list[LaunchView]:
    """How the workers of a study stand that engines run: of every launch that nobody stopped, and of the newest."""
    with opened_study(study, storage) as found:
        if not stored_launches.list_launches(found.database, found.id):
            return []
        # What most studies do without takes long to import.
        from tuner.launch.launches import look_at_all

        return look_at_all(found)
