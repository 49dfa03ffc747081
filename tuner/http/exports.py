"""The exports that this service makes, one after another, each in a process of its own.

They are this process's: after a new start the service knows those no more, but the champions that came of them.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from storage.held_folders import scratch_folder
from tuner.champion.export.export_view import ExportEnd, ExportFault, ExportView
from tuner.champion.export.options import ExportOptions
from tuner.errors import TooOften, UnknownExport
from tuner.http.export_process import Order
from tuner.json_codec import as_json, from_json
from tuner.processes.child_environment import tensorflow_environment

_LOG = logging.getLogger("tuner.http")
_WAITING = 20
_KEPT = 200
_FULL_WAIT_SECONDS = 60
# For what it began to write to be taken back; with the requests' time to end, less than the service's own.
_LEAVE_SECONDS = 7.0
# Of what a process said that died.
_LAST_WORDS = 4000


class Exports:
    """Exports that wait, run, or have ended. To be used from one event loop."""

    def __init__(self, storage: str) -> None:
        self._storage = storage
        self._turn = asyncio.Semaphore(1)
        self._views: dict[str, ExportView] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, str] = {}

    def begin(self, study: str, options: ExportOptions, who: str) -> ExportView:
        """Begins one, or gives the one that waits or runs with the same options.

        Raises:
            TooOften: many wait already.
        """
        same = [each for each in self._open() if (each.study, each.options) == (study, options)]
        if same:
            return same[0]
        if len(self._tasks) >= _WAITING:
            raise TooOften(_FULL_WAIT_SECONDS, f"{_WAITING} exports are waiting already: try again later")
        view = ExportView(uuid.uuid4().hex, study, options, who, "waiting", datetime.now(UTC))
        self._forget()
        self._views[view.id] = view
        self._tasks[view.id] = asyncio.create_task(self._run(view.id))
        return view

    def of(self, study: str) -> list[ExportView]:
        """Those of a study, the newest first."""
        return [each for each in reversed(self._views.values()) if each.study == study]

    def find(self, study: str, export: str) -> ExportView:
        """One of a study. Raises UnknownExport."""
        view = self._views.get(export)
        if view is None or view.study != study:
            raise UnknownExport(study, export)
        return view

    async def ended(self, study: str, export: str, seconds: float) -> ExportView:
        """``find``, once it has ended or so much time has gone by."""
        self.find(study, export)
        if task := self._tasks.get(export):
            await asyncio.wait([task], timeout=seconds)
        return self.find(study, export)

    async def cancel(self, study: str, export: str, who: str) -> ExportView:
        """Ends one that waits or runs; nothing of it stays. One that has ended stays as it is."""
        self.find(study, export)
        if task := self._tasks.get(export):
            self._cancelled[export] = who
            task.cancel()
            await asyncio.wait([task])
        return self.find(study, export)

    async def close(self) -> None:
        """Ends those that wait and run."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _open(self) -> list[ExportView]:
        return [self._views[each] for each in self._tasks]

    def _forget(self) -> None:
        ended = [each for each in self._views if each not in self._tasks]
        for each in ended[: max(0, len(self._views) + 1 - _KEPT)]:
            del self._views[each]

    async def _run(self, export: str) -> None:
        try:
            async with self._turn:
                self._views[export] = view = replace(self._views[export], state="running")
                end = await _exported(Order(self._storage, view.study, view.options))
        except asyncio.CancelledError:
            who = self._cancelled.pop(export, "the shutdown of the service")
            fault = ExportFault("ExportError", f"the export was cancelled by {who}")
            end = ExportEnd(fault=fault, cancelled=True)
        except Exception:
            _LOG.exception("an export of study %s failed", self._views[export].study)
            end = ExportEnd(fault=_LOST)
        finally:
            del self._tasks[export]
        self._views[export] = self._views[export].with_end(end, datetime.now(UTC))


_LOST = ExportFault("ServiceError", "the export's process died; the service's log says why")


async def _exported(order: Order) -> ExportEnd:
    with scratch_folder() as scratch:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tuner.http.export_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=tensorflow_environment(scratch),
            # Ctrl-C at the service is not for it: the service ends it in order.
            start_new_session=True,
        )
        try:
            told, said = await process.communicate(as_json(Order, order))
        except asyncio.CancelledError:
            await _end(process)
            raise
    if process.returncode != 0:
        words = said.decode(errors="replace")[-_LAST_WORDS:]
        _LOG.error("the export of study %s ended with exit code %s: %s", order.study, process.returncode, words)
        return ExportEnd(fault=_LOST)
    end: ExportEnd = from_json(ExportEnd, told)
    return end


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), _LEAVE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
