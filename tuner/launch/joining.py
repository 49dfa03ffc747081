"""Starts workers that join one study, or whichever study waits for workers."""

from __future__ import annotations

from typing import Any

from storage.progress import OnStatus, StudyStatus
from tuner.launch.opening import OnEvent, check_versions, ignore, join_or_create
from tuner.launch.pool import Pool, PoolOrders
from tuner.launch.working import standing_by, work_on, worker_orders
from tuner.spec.search_spec import SearchSpec
from tuner.study.locations import new_study_artifacts, storage_url
from tuner.study.open_study import OpenStudy
from tuner.study.storage_access import open_storage


def work(
    study: str,
    *,
    storage: str | None = None,
    create_from: SearchSpec | None = None,
    slots: int | None = None,
    on_event: OnEvent | None = None,
    on_status: OnStatus | None = None,
    allow_version_drift: bool = False,
    settings: dict[str, Any] | None = None,
) -> StudyStatus:
    """Joins a study as one more worker, until it has ended or stopped. Raises as ``launch`` does.

    Args:
        create_from: the study's spec, to create it from if there is none of this name. One that was stopped stays so.
    """
    url = storage_url(storage, create_from)
    with open_storage(url, create=create_from is not None) as database:
        if create_from is not None:
            say, artifacts = on_event or ignore, new_study_artifacts(create_from, url)
            found = join_or_create(database, create_from, artifacts, say, allow_version_drift=allow_version_drift)
        else:
            found = OpenStudy.load(database, study)
            if not allow_version_drift:
                check_versions(found)
        orders = worker_orders(found.spec, slots, settings or {}, allow_version_drift)
        with standing_by(orders, url, found.artifacts) as worker:
            return work_on(found, worker, on_event or ignore, on_status)


def work_any(
    *,
    storage: str | None = None,
    studies: str = "*",
    slots: int | None = None,
    turn_seconds: float = 120.0,
    on_event: OnEvent | None = None,
    allow_version_drift: bool = False,
    settings: dict[str, Any] | None = None,
) -> None:
    """Serves every running study that needs workers, one at a time, until SIGTERM, as a standing worker on one node.

    If this machine cannot work on a study, ``on_event`` is told so and the study is tried again later. If the database
    is unavailable, the worker waits for it.

    Args:
        studies: a pattern that their names match, such as ``team-*``.
        slots: number of trials to run at the same time, instead of what each study's ``resources`` say.
        turn_seconds: how long a study is served while others of the same priority have no worker at all.

    Raises:
        StorageError: the database cannot be used.
        KeyboardInterrupt: after the worker has left in an orderly way; a second one ends it at once.
    """
    orders = PoolOrders(
        studies=studies,
        slots=slots,
        turn_seconds=turn_seconds,
        allow_version_drift=allow_version_drift,
        settings=settings or {},
    )
    Pool(orders, storage_url(storage), on_event or ignore).run()
