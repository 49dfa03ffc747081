"""The service from another machine: the functions of ``tuner.api``, over HTTP.

    client = Client("https://tuner.example.org", token="kc_...")
    client.best_trials("digits")

Methods have the names, arguments and results of ``tuner.api``, and raise its errors. Lists are read in pages. Needs
the extra ``client``.

What ``tuner.api`` does with this machine's files and workers has no method: docs/service.md lists it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

try:
    import httpx
except ImportError as error:
    raise ImportError("tuner.client needs a library that is missing: pip install 'keras-champion[client]'") from error

from storage import errors as storage_errors
from storage.aliases import AliasChange
from storage.leaderboard import TrialDetail, TrialSummary
from storage.lease_list import LeaseView
from storage.progress import StudyOverview, StudyStatus
from storage.samples import Points
from storage.standing import StandingPool
from tuner import errors
from tuner.champion.export.export_view import ExportView
from tuner.champion.export.options import ExportKeywords, ExportOptions, export_options
from tuner.champion.placement import check_destination
from tuner.champion.records.champion_json import read_champion
from tuner.champion.records.request import ExportReport
from tuner.champion.registry.registered import RegisteredChampion
from tuner.errors import Problem, ServiceError, SpecError
from tuner.json_codec import from_json
from tuner.launch.launches import LaunchView
from tuner.launch.presets import Enqueued
from tuner.queries.charts import USUAL_POINTS, ParameterChart, TrialCurve
from tuner.queries.paging import USUAL_PAGE, Page
from tuner.queries.workers import LiveWorker, WorkerView
from tuner.spec.search_spec import SearchSpec
from tuner.study.stored_spec import read_stored_spec

_PAGE = 500
_SECONDS = 60.0
# The preflight decodes the data and trains one batch.
_LAUNCH_SECONDS = 3600.0
_DIGEST = "Champion-Digest"
# That an answer may be held back until what it is about has ended.
_PATIENCE = 20.0


class Client:
    """A service.

    Args:
        url: where it is, such as ``http://127.0.0.1:8730``.
        token: from ``tuner token create``; not needed on its own machine while the database has none.
        seconds: to wait for an answer.

    Every method raises the errors of ``tuner.api``'s function of that name, ``NoAccess`` and ``ScopeTooSmall`` for a
    token that does not do, and ``ServiceError`` where no service answers.
    """

    def __init__(self, url: str, token: str | None = None, *, seconds: float = _SECONDS) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._patience = min(_PATIENCE, seconds / 2)
        self._http = httpx.Client(base_url=f"{self._url}/api/v1", headers=headers, timeout=seconds)

    def __repr__(self) -> str:
        return f"Client({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    # --- studies

    def list_studies(self) -> list[StudyOverview]:
        return list(self._all(StudyOverview, "/studies"))

    def study_page(self, *, limit: int = USUAL_PAGE, cursor: str | None = None) -> Page[StudyOverview]:
        return self._get(Page[StudyOverview], "/studies", limit=limit, cursor=cursor)

    def create_study(
        self, spec: SearchSpec | Mapping[str, Any], *, on: str | None = None, workers: int | None = None
    ) -> StudyStatus:
        """As ``tuner.api.create_study``; the service refuses what its operator did not allow."""
        asked = {"on": on, "workers": workers}
        return self._send("POST", StudyStatus, "/studies", _as_written(spec), asked=asked, seconds=_LAUNCH_SECONDS)

    def search_space(self, spec: SearchSpec | Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._send("POST", list[dict[str, Any]], "/space", _as_written(spec), seconds=_LAUNCH_SECONDS)

    def scale(self, study: str, workers: int) -> LaunchView:
        body = {"workers": workers}
        return self._send("POST", LaunchView, f"{_of(study)}/scale", body, seconds=_LAUNCH_SECONDS)

    def study_status(self, study: str) -> StudyStatus:
        return self._get(StudyStatus, _of(study))

    def stored_spec(self, study: str) -> dict[str, Any]:
        return self._get(dict[str, Any], f"{_of(study)}/spec")

    def study_spec(self, study: str) -> SearchSpec:
        return read_stored_spec(self.stored_spec(study), study)

    def stop(self, study: str) -> str:
        found: dict[str, str] = self._send("POST", dict[str, str], f"{_of(study)}/stop")
        return found["state"]

    def resume(self, study: str, *, trials: int | None = None) -> StudyStatus:
        return self._send("POST", StudyStatus, f"{_of(study)}/resume", {"trials": trials})

    def delete_study(self, study: str, *, confirm: str, artifacts: bool = False) -> None:
        body = {"confirm": confirm, "artifacts": artifacts}
        self._send("DELETE", dict[str, str], _of(study), body)

    def enqueue(self, study: str, values: Mapping[str, Any]) -> Enqueued:
        return self._send("POST", Enqueued, f"{_of(study)}/enqueue", dict(values), seconds=_LAUNCH_SECONDS)

    def watch(
        self,
        study: str,
        on_status: Callable[[StudyStatus], None],
        *,
        on_away: Callable[[str], None] | None = None,
    ) -> StudyStatus:
        """As ``tuner.api.watch``: the database that may go away is the service's."""
        is_away = False
        for kind, data in self._events(study):
            if kind == "away":
                if on_away is not None and not is_away:
                    on_away(str(json.loads(data)["error"]["message"]))
                is_away = True
            elif kind != "trial":
                is_away = False
                status: StudyStatus = from_json(StudyStatus, data)
                if kind == "end":
                    return status
                on_status(status)
        raise ServiceError(f"{self._url} ended the feed of study {study}: ask again")

    # --- trials

    def best_trials(self, study: str, k: int | None = None) -> list[TrialSummary]:
        return self._get(list[TrialSummary], f"{_of(study)}/best", k=k)

    def list_trials(
        self,
        study: str,
        *,
        state: str | None = None,
        sort: str = "trial",
        descending: bool = False,
        limit: int | None = None,
    ) -> list[TrialSummary]:
        order = f"-{sort}" if descending else sort
        return list(self._all(TrialSummary, f"{_of(study)}/trials", limit, state=state, sort=order))

    def trial_page(
        self,
        study: str,
        *,
        state: str | None = None,
        sort: str = "trial",
        descending: bool = False,
        limit: int = USUAL_PAGE,
        cursor: str | None = None,
    ) -> Page[TrialSummary]:
        order = f"-{sort}" if descending else sort
        asked = {"state": state, "sort": order, "limit": limit, "cursor": cursor}
        return self._get(Page[TrialSummary], f"{_of(study)}/trials", **asked)

    def show_trial(self, study: str, number: int) -> TrialDetail:
        return self._get(TrialDetail, f"{_of(study)}/trials/{number}")

    def trial_log(self, study: str, number: int) -> Iterator[bytes]:
        return self._pieces(f"{_of(study)}/trials/{number}/log")

    # --- workers

    def worker_page(self, *, limit: int = USUAL_PAGE, cursor: str | None = None) -> Page[LiveWorker]:
        return self._get(Page[LiveWorker], "/workers", limit=limit, cursor=cursor)

    def list_pools(self) -> list[StandingPool]:
        return self._get(list[StandingPool], "/pools")

    def list_workers(self, study: str) -> list[WorkerView]:
        return self._get(list[WorkerView], f"{_of(study)}/workers")

    def worker_log(self, study: str, worker: str) -> Iterator[bytes]:
        return self._pieces(f"{_of(study)}/workers/{_quoted(worker)}/log")

    def list_launches(self, study: str) -> list[LaunchView]:
        return self._get(list[LaunchView], f"{_of(study)}/launches")

    def lease_page(self, study: str, *, limit: int = USUAL_PAGE, cursor: str | None = None) -> Page[LeaseView]:
        return self._get(Page[LeaseView], f"{_of(study)}/leases", limit=limit, cursor=cursor)

    # --- champions

    def export_champion(
        self,
        study: str,
        to: Path | str,
        options: ExportOptions | None = None,
        **keywords: Unpack[ExportKeywords],
    ) -> ExportReport:
        """As ``tuner.api.export_champion``: the service exports, and ``to`` gets the files, each checked."""
        asked = export_options(options, keywords)
        check_destination(Path(to).resolve())
        view = self._send("POST", ExportView, f"{_of(study)}/exports", asked.model_dump(mode="json"))
        while view.end is None:
            view = self._get(ExportView, f"{_of(study)}/exports/{view.id}", wait=self._patience)
        if fault := view.end.fault:
            raise _error(fault.code, fault.message, (), fault.details)
        self.fetch_champion(f"{study}@{view.end.version}", to)
        folder = Path(to).resolve()
        return ExportReport(folder, read_champion(folder), view.end.violated, view.end.unassessed, view.end.version)

    def list_champions(self, study: str | None = None) -> list[RegisteredChampion]:
        return list(self._all(RegisteredChampion, "/champions", study=study))

    def champion_page(
        self, study: str | None = None, *, limit: int = USUAL_PAGE, cursor: str | None = None
    ) -> Page[RegisteredChampion]:
        return self._get(Page[RegisteredChampion], "/champions", study=study, limit=limit, cursor=cursor)

    def promote(self, study: str, version: int, alias: str, *, unverified: bool = False) -> AliasChange | None:
        body = {"study": study, "version": version, "unverified": unverified}
        return self._send("PUT", AliasChange | None, f"/champions/aliases/{_quoted(alias)}", body)

    def alias_history(self, alias: str) -> list[AliasChange]:
        return self._get(list[AliasChange], f"/champions/aliases/{_quoted(alias)}")

    def fetch_champion(self, reference: str, to: Path | str) -> RegisteredChampion:
        """As ``tuner.api.fetch_champion``: every file is checked here too, against the digest that was promised."""
        from tuner.champion.registry.archive import unpack

        with tempfile.TemporaryFile() as archive:
            with self._streaming(f"/champions/{_quoted(reference)}/download") as answer:
                digest = answer.headers[_DIGEST]
                for piece in _received(answer, self._url):
                    archive.write(piece)
            archive.seek(0)
            fetched = unpack(archive, digest, f"champion {reference}", Path(to))
        found = self.list_champions(fetched.study)
        return next(each for each in found if each.digest == digest)

    # --- charts

    def history_chart(self, study: str, points: int = USUAL_POINTS) -> Points:
        return self._get(Points, f"{_of(study)}/charts/history", points=points)

    def curves_chart(self, study: str, trials: Sequence[int] = ()) -> list[TrialCurve]:
        return self._get(list[TrialCurve], f"{_of(study)}/charts/curves", trial=list(trials))

    def importances_chart(self, study: str) -> dict[str, dict[str, float]]:
        return self._get(dict[str, dict[str, float]], f"{_of(study)}/charts/importances")

    def parameters_chart(self, study: str) -> ParameterChart:
        return self._get(ParameterChart, f"{_of(study)}/charts/parameters")

    # --- how it is asked

    def _get(self, kind: Any, path: str, **asked: Any) -> Any:
        return self._answer("GET", kind, path, params=_given(asked))

    def _send(
        self,
        method: str,
        kind: Any,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        asked: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> Any:
        more = _given({"json": body, "params": _given(asked or {}), "timeout": seconds})
        return self._answer(method, kind, path, **more)

    def _answer(self, method: str, kind: Any, path: str, **more: Any) -> Any:
        with self._reaching():
            answer = self._http.request(method, path, **more)
        _check(answer, self._url)
        return from_json(kind, answer.content)

    def _all(self, kind: Any, path: str, limit: int | None = None, **asked: Any) -> Iterator[Any]:
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            count = _PAGE if left is None else min(left, _PAGE)
            page = self._get(Page[kind], path, **asked, limit=count, cursor=cursor)
            yield from page.items
            left = None if left is None else left - len(page.items)
            cursor = page.cursor
            if cursor is None:
                return

    def _pieces(self, path: str) -> Iterator[bytes]:
        with self._streaming(path) as answer:
            yield from _received(answer, self._url)

    def _events(self, study: str) -> Iterator[tuple[str, str]]:
        with self._streaming(f"{_of(study)}/events") as answer, self._reaching():
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, value

    @contextmanager
    def _streaming(self, path: str) -> Iterator[httpx.Response]:
        with self._reaching():
            answer = self._http.send(self._http.build_request("GET", path), stream=True)
        try:
            if answer.is_error:
                with self._reaching():
                    answer.read()
            _check(answer, self._url)
            yield answer
        finally:
            answer.close()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise ServiceError(f"no service answers at {self._url}: {str(error) or type(error).__name__}") from None


def _received(answer: httpx.Response, url: str) -> Iterator[bytes]:
    try:
        yield from answer.iter_bytes()
    except httpx.HTTPError as error:
        raise ServiceError(f"{url} broke off in the middle: {str(error) or type(error).__name__}") from None


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _as_written(spec: SearchSpec | Mapping[str, Any]) -> dict[str, Any]:
    return spec.stored() if isinstance(spec, SearchSpec) else dict(spec)


def _of(study: str) -> str:
    return f"/studies/{_quoted(study)}"


def _quoted(name: str) -> str:
    # Dots alone would be taken for folders.
    return quote(name, safe="").replace(".", "%2E") if set(name) <= {"."} else quote(name, safe="")


def _check(answer: httpx.Response, url: str) -> None:
    """Raises what the service said."""
    if not answer.is_error:
        return
    try:
        said = json.loads(answer.content)["error"]
        code, message = str(said["code"]), str(said["message"])
        problems = [Problem(each["key"], each["message"]) for each in said.get("where", ())]
        details = dict(said.get("details", {}))
    except (ValueError, KeyError, TypeError):
        raise ServiceError(f"{url} answered {answer.status_code}, so it is not a tuner service") from None
    raise _error(code, message, problems, details)


def _error(code: str, message: str, problems: Sequence[Problem], details: Mapping[str, Any]) -> Exception:
    kind: Any = getattr(errors, code, None) or getattr(storage_errors, code, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.TunerError | storage_errors.StorageError)):
        return ServiceError(message)
    # Their own constructors make the message, which has come ready.
    made: Exception = kind.__new__(kind)
    Exception.__init__(made, message)
    for name, value in details.items():
        setattr(made, name, tuple(value) if isinstance(value, list) else value)
    if isinstance(made, SpecError):
        made.problems = tuple(problems)
    return made
