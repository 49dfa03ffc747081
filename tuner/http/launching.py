"""Studies that are launched over HTTP, from the API and from the form: what is checked of them, in one order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.launches import list_launches
from storage.progress import StudyStatus
from storage.studies import load_study
from tuner import api
from tuner.http.service import Service
from tuner.launch.launches import LaunchView
from tuner.outside_specs import check_outside_spec


def launched(
    service: Service, raw: Mapping[str, Any], on: str | None = None, workers: int | None = None
) -> StudyStatus:
    """Creates a study from a spec of the caller's. Takes seconds: it is for ``Service.launching``.

    Args:
        on: an engine that the operator allowed, which starts workers for it; without one the pool takes it.

    Raises:
        SpecError: of the spec, the engine or the number of workers. Else as ``tuner.api.create_study``.
    """
    spec = check_outside_spec(raw, service.policy)
    if on is not None:
        service.policy.check_launcher(on, workers or spec.resources.workers)
    settings = service.settings
    return api.create_study(spec, storage=settings.storage, on=on, workers=workers, engines=settings.engines)


def scaled(service: Service, study: str, workers: int) -> LaunchView:
    """Brings the workers of a study's newest launch to that number.

    Raises:
        SpecError: its engine is not one that the operator allowed, or they are too many.
        LaunchError: as ``tuner.api.scale``.
    """
    record = load_study(service.database, study)
    going = [each for each in list_launches(service.database, record.study_id) if each.stopped_at is None]
    if going:
        service.policy.check_launcher(going[-1].engine, workers)
    return api.scale(study, workers, storage=service.settings.storage)
