"""Studies that are launched over HTTP, from the API and from the form: what is checked of them, in one order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from storage.errors import StudyExists, UnknownStudy
from storage.launches import list_launches
from storage.progress import StudyStatus
from storage.studies import load_study
from tuner import api
from tuner.data.prepared_size import check_prepared_size
from tuner.data.sources import look_at
from tuner.errors import Problem, RefusedKey, SpecError
from tuner.http.error_responses import problems_of
from tuner.http.service import Service
from tuner.launch.launches import LaunchView
from tuner.launch.opening import check_runnable
from tuner.spec.policy import examine_outside_spec
from tuner.spec.problems import is_said
from tuner.spec.search_spec import SearchSpec


def launched(
    service: Service, raw: Mapping[str, Any], on: str | None = None, workers: int | None = None
) -> StudyStatus:
    """Creates a study from a spec of the caller's. Takes seconds: it is for ``Service.launching``.

    Args:
        on: an engine that the operator allowed, which starts workers for it; without one the pool takes it.

    Raises:
        SpecError: of the spec, the engine or the number of workers. Else as ``tuner.api.create_study``.
    """
    examined = _examined(service, raw, on=on, workers=workers)
    # That a name is taken is said by the launch, in its order, and then no data is looked at.
    spec = examined.usable() if examined.is_taken() else examined.launchable()
    settings = service.settings
    return api.create_study(spec, storage=settings.storage, on=on, workers=workers, engines=settings.engines)


def space_of(service: Service, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The search space of a spec of the caller's. Takes seconds. Raises as ``tuner.api.search_space``."""
    return api.search_space(_examined(service, raw).launchable())


def checked(service: Service, raw: Mapping[str, Any], known: Sequence[Problem] = ()) -> SearchSpec:
    """A spec in which nothing is wrong as far as it can be seen at once, before its data is read.

    Args:
        known: what is wrong already.

    Raises:
        SpecError: with everything that is wrong.
        StudyExists: nothing is, but that there is a study of its name.
    """
    examined = _examined(service, raw, known)
    spec = examined.usable()
    if examined.is_taken():
        raise StudyExists(spec.study)
    return examined.launchable()


@dataclass(frozen=True)
class _Examined:
    """What is wrong with a spec by itself; its data and its name are looked at when that is asked for."""

    service: Service
    spec: SearchSpec | None
    problems: Sequence[Problem]

    def usable(self) -> SearchSpec:
        """The spec; raises SpecError, with everything, if something is wrong with it by itself."""
        if self.spec is not None and not self.problems:
            return self.spec
        taken = [Problem("study", "a study of this name already exists; choose another name")] * self.is_taken()
        raise SpecError("spec", [*self.problems, *taken, *self.of_data()])

    def launchable(self) -> SearchSpec:
        """``usable``, with data that there is and that has room. Raises SpecError."""
        spec = self.usable()
        if of_data := self.of_data():
            raise SpecError("spec", of_data)
        return spec

    def of_data(self) -> Sequence[Problem]:
        if self.spec is None or is_said("data", self.problems):
            return ()
        most = self.service.policy.max_prepared_bytes
        return _said_by(partial(look_at, self.spec.data)) or _said_by(
            partial(check_prepared_size, self.spec.data, most, "the service allows")
        )

    def is_taken(self) -> bool:
        if self.spec is None or is_said("study", self.problems):
            return False
        try:
            load_study(self.service.database, self.spec.study)
        except UnknownStudy:
            return False
        return True


def _examined(
    service: Service,
    raw: Mapping[str, Any],
    known: Sequence[Problem] = (),
    *,
    on: str | None = None,
    workers: int | None = None,
) -> _Examined:
    spec, found = examine_outside_spec(raw, service.policy)
    problems = [*known, *(each for each in found if not is_said(each.key, known))]
    if spec is None:
        return _Examined(service, None, problems)
    checks: list[Callable[[], Any]] = [partial(check_runnable, spec)]
    if on is not None:
        checks.append(partial(service.policy.check_launcher, on, workers or spec.resources.workers))
    for check in checks:
        problems += [each for each in _said_by(check) if not is_said(each.key, problems)]
    return _Examined(service, spec, problems)


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
