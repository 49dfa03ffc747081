"""Studies that are launched over HTTP, from the API and from the form: what is checked of them, in one order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from storage.launches import list_launches
from storage.progress import StudyStatus
from storage.studies import load_study
from tuner import api
from tuner.data.source import look_at
from tuner.errors import Problem, RefusedKey, SpecError
from tuner.http.errors import problems_of
from tuner.http.service import Service
from tuner.launch.launches import LaunchView
from tuner.launch.study import check_runnable
from tuner.outside_specs import examine_outside_spec
from tuner.spec import SearchSpec
from tuner.spec_problems import is_said


def launched(
    service: Service, raw: Mapping[str, Any], on: str | None = None, workers: int | None = None
) -> StudyStatus:
    """Creates a study from a spec of the caller's. Takes seconds: it is for ``Service.launching``.

    Args:
        on: an engine that the operator allowed, which starts workers for it; without one the pool takes it.

    Raises:
        SpecError: of the spec, the engine or the number of workers. Else as ``tuner.api.create_study``.
    """
    spec = checked(service, raw, on=on, workers=workers)
    settings = service.settings
    return api.create_study(spec, storage=settings.storage, on=on, workers=workers, engines=settings.engines)


def checked(
    service: Service,
    raw: Mapping[str, Any],
    known: Sequence[Problem] = (),
    *,
    on: str | None = None,
    workers: int | None = None,
) -> SearchSpec:
    """A spec in which nothing is wrong as far as it can be seen at once, before its data is read.

    Args:
        known: what is wrong already.

    Raises:
        SpecError: with everything that is wrong.
    """
    spec, found = examine_outside_spec(raw, service.policy)
    problems = [*known, *(each for each in found if not is_said(each.key, known))]
    if spec is not None:
        checks: list[Callable[[], Any]] = [partial(check_runnable, spec)]
        if on is not None:
            checks.append(partial(service.policy.check_launcher, on, workers or spec.resources.workers))
        if not is_said("data", problems):
            checks.append(partial(look_at, spec.data))
        for check in checks:
            problems += [each for each in _said_by(check) if not is_said(each.key, problems)]
    if spec is None or problems:
        raise SpecError("spec", problems)
    return spec


def _said_by(check: Callable[[], Any]) -> Sequence[Problem]:
    try:
        check()
    except (SpecError, RefusedKey) as error:
        return problems_of(error)
    return ()


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
