"""Answers questions about workers: those of a study, all live ones, and those on standby."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage import workers
from storage.standing import StandingPool, standing_pools
from storage.studies import StudyRecord
from storage.workers import Worker
from tuner.errors import CursorError
from tuner.processes.versions import DATA, differences
from tuner.queries.paging import USUAL_PAGE, Page, cursor_after, paged, position_in
from tuner.study.open_study import opened_study
from tuner.study.storage_access import Storage, open_storage


@dataclass(frozen=True)
class WorkerView:
    """A worker of a study.

    Attributes:
        worker: id of the worker.
        host: name of the machine that the worker runs on.
        pid: process id of the worker.
        gpus: the worker's GPUs, as it named them; empty if it has none.
        slots: number of trials that the worker can run at a time.
        trials: numbers of the trials that the worker is running now.
        seen_seconds: seconds since the worker was last seen, by the database's clock.
        version: version of keras-champion that the worker runs.
        state: state of the worker: ``live``, ``left``, or ``lost`` if it disappeared without leaving.
        started_at: when the worker started, UTC.
        seen_at: when the worker was last seen, UTC.
        left_at: when the worker left, UTC; None if it has not left in an orderly way.
        drift: how the worker's versions, code or data differ from those of the study's launch, in words.
    """

    worker: str
    host: str
    pid: int
    gpus: list[Any]
    slots: int
    trials: list[int]
    seen_seconds: float
    version: str
    state: str
    started_at: datetime
    seen_at: datetime
    left_at: datetime | None
    drift: list[str]


def list_workers(study: str, *, storage: Storage = None) -> list[WorkerView]:
    """Every worker that ever worked on a study, in the order of their start."""
    with opened_study(study, storage) as found:
        return [_worker_view(found.record, worker) for worker in workers.list_workers(found.database, found.id)]


@dataclass(frozen=True)
class LiveWorker(WorkerView):
    """A live worker, and the study that it is working on.

    Attributes:
        study: name of the study that the worker is working on.
    """

    study: str


def worker_page(*, limit: int = USUAL_PAGE, cursor: str | None = None, storage: Storage = None) -> Page[LiveWorker]:
    """A page of the live workers of every study, in the order of their names.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another list.
    """
    listing = {"list": "workers"}
    after = position_in(listing, cursor)
    if not (after is None or (isinstance(after, str) and "\0" not in after)):
        raise CursorError("the cursor names no worker: start without one")
    with open_storage(storage) as database:
        found = workers.list_live(database, after=after or "", limit=limit + 1)
    items, more = paged([LiveWorker(**vars(_worker_view(*each)), study=each[0].name) for each in found], limit)
    return Page(items, cursor_after(listing, items[-1].worker) if more else None)


def list_pools(*, storage: Storage = None) -> list[StandingPool]:
    """The standing workers (``work_any``) that are there, in the order of their start, those too that have no study."""
    with open_storage(storage) as database:
        return standing_pools(database)


def _worker_view(record: StudyRecord, worker: Worker) -> WorkerView:
    same = {name: getattr(worker, name) for name in WorkerView.__dataclass_fields__ if hasattr(worker, name)}
    expected = {**record.versions, DATA: record.fingerprint}
    known = worker.versions or {}
    differing = differences({name: value for name, value in expected.items() if name in known}, known)
    return WorkerView(worker=worker.id, drift=[str(each) for each in differing], **same)
