"""The methods of a client: those of ``tuner.api``, each a request."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

from storage.aliases import AliasChange
from storage.leaderboard import TrialDetail, TrialSummary
from storage.lease_list import LeaseView
from storage.progress import StudyOverview, StudyStatus
from storage.samples import Points
from storage.standing import StandingPool
from tuner.champion.export.export_view import ExportView
from tuner.champion.export.options import ExportKeywords, ExportOptions, export_options
from tuner.champion.placement import check_destination
from tuner.champion.records.champion_json import read_champion
from tuner.champion.records.request import ExportReport
from tuner.champion.registry.registered import RegisteredChampion
from tuner.client.connection import Connection, error_of
from tuner.errors import ServiceError
from tuner.json_codec import from_json
from tuner.launch.launches import LaunchView
from tuner.launch.presets import Enqueued
from tuner.queries.charts import USUAL_POINTS, ParameterChart, TrialCurve
from tuner.queries.paging import USUAL_PAGE, Page
from tuner.queries.workers import LiveWorker, WorkerView
from tuner.spec.reading import read_configurations
from tuner.spec.search_spec import SearchSpec
from tuner.study.stored_spec import read_stored_spec

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
        self._service = Connection(url, token, seconds)
        self._patience = min(_PATIENCE, seconds / 2)

    def __repr__(self) -> str:
        return f"Client({self._service.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._service.close()

    # --- studies

    def list_studies(self) -> list[StudyOverview]:
        return list(self._service.every(StudyOverview, "/studies"))

    def study_page(self, *, limit: int = USUAL_PAGE, cursor: str | None = None) -> Page[StudyOverview]:
        return self._service.get(Page[StudyOverview], "/studies", limit=limit, cursor=cursor)

    def create_study(
        self, spec: SearchSpec | Mapping[str, Any], *, on: str | None = None, workers: int | None = None
    ) -> StudyStatus:
        """As ``tuner.api.create_study``; the service refuses what its operator did not allow."""
        asked = {"on": on, "workers": workers}
        return self._service.send(
            "POST", StudyStatus, "/studies", _as_written(spec), asked=asked, seconds=_LAUNCH_SECONDS
        )

    def search_space(self, spec: SearchSpec | Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._service.send("POST", list[dict[str, Any]], "/space", _as_written(spec), seconds=_LAUNCH_SECONDS)

    def scale(self, study: str, workers: int) -> LaunchView:
        body = {"workers": workers}
        return self._service.send("POST", LaunchView, f"{_of(study)}/scale", body, seconds=_LAUNCH_SECONDS)

    def study_status(self, study: str) -> StudyStatus:
        return self._service.get(StudyStatus, _of(study))

    def stored_spec(self, study: str) -> dict[str, Any]:
        return self._service.get(dict[str, Any], f"{_of(study)}/spec")

    def study_spec(self, study: str) -> SearchSpec:
        return read_stored_spec(self.stored_spec(study), study)

    def stop(self, study: str) -> str:
        found: dict[str, str] = self._service.send("POST", dict[str, str], f"{_of(study)}/stop")
        return found["state"]

    def resume(self, study: str, *, trials: int | None = None) -> StudyStatus:
        return self._service.send("POST", StudyStatus, f"{_of(study)}/resume", {"trials": trials})

    def delete_study(self, study: str, *, confirm: str, artifacts: bool = False) -> None:
        body = {"confirm": confirm, "artifacts": artifacts}
        self._service.send("DELETE", dict[str, str], _of(study), body)

    def enqueue(self, study: str, values: Mapping[str, Any]) -> Enqueued:
        return self._service.send("POST", Enqueued, f"{_of(study)}/enqueue", dict(values), seconds=_LAUNCH_SECONDS)

    def enqueue_all(self, study: str, configurations: Sequence[Mapping[str, Any]] | Path | str) -> list[Enqueued]:
        if isinstance(configurations, Path | str):
            configurations = read_configurations(Path(configurations))
        body = [dict(each) for each in configurations]
        path = f"{_of(study)}/enqueue-all"
        return self._service.send("POST", list[Enqueued], path, body, seconds=_LAUNCH_SECONDS)

    def watch(
        self,
        study: str,
        on_status: Callable[[StudyStatus], None],
        *,
        on_away: Callable[[str], None] | None = None,
    ) -> StudyStatus:
        """As ``tuner.api.watch``: the database that may go away is the service's."""
        is_away = False
        for kind, data in self._service.events(f"{_of(study)}/events"):
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
        raise ServiceError(f"{self._service.url} ended the feed of study {study}: ask again")

    # --- trials

    def best_trials(self, study: str, k: int | None = None) -> list[TrialSummary]:
        return self._service.get(list[TrialSummary], f"{_of(study)}/best", k=k)

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
        return list(self._service.every(TrialSummary, f"{_of(study)}/trials", limit, state=state, sort=order))

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
        return self._service.get(Page[TrialSummary], f"{_of(study)}/trials", **asked)

    def show_trial(self, study: str, number: int) -> TrialDetail:
        return self._service.get(TrialDetail, f"{_of(study)}/trials/{number}")

    def trial_log(self, study: str, number: int) -> Iterator[bytes]:
        return self._service.pieces(f"{_of(study)}/trials/{number}/log")

    # --- workers

    def worker_page(self, *, limit: int = USUAL_PAGE, cursor: str | None = None) -> Page[LiveWorker]:
        return self._service.get(Page[LiveWorker], "/workers", limit=limit, cursor=cursor)

    def list_pools(self) -> list[StandingPool]:
        return self._service.get(list[StandingPool], "/pools")

    def list_workers(self, study: str) -> list[WorkerView]:
        return self._service.get(list[WorkerView], f"{_of(study)}/workers")

    def worker_log(self, study: str, worker: str) -> Iterator[bytes]:
        return self._service.pieces(f"{_of(study)}/workers/{_quoted(worker)}/log")

    def list_launches(self, study: str) -> list[LaunchView]:
        return self._service.get(list[LaunchView], f"{_of(study)}/launches")

    def lease_page(self, study: str, *, limit: int = USUAL_PAGE, cursor: str | None = None) -> Page[LeaseView]:
        return self._service.get(Page[LeaseView], f"{_of(study)}/leases", limit=limit, cursor=cursor)

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
        view = self._service.send("POST", ExportView, f"{_of(study)}/exports", asked.model_dump(mode="json"))
        while view.end is None:
            view = self._service.get(ExportView, f"{_of(study)}/exports/{view.id}", wait=self._patience)
        if fault := view.end.fault:
            raise error_of(fault.code, fault.message, (), fault.details)
        self.fetch_champion(f"{study}@{view.end.version}", to)
        folder = Path(to).resolve()
        return ExportReport(folder, read_champion(folder), view.end.violated, view.end.unassessed, view.end.version)

    def list_champions(self, study: str | None = None) -> list[RegisteredChampion]:
        return list(self._service.every(RegisteredChampion, "/champions", study=study))

    def champion_page(
        self, study: str | None = None, *, limit: int = USUAL_PAGE, cursor: str | None = None
    ) -> Page[RegisteredChampion]:
        return self._service.get(Page[RegisteredChampion], "/champions", study=study, limit=limit, cursor=cursor)

    def promote(self, study: str, version: int, alias: str, *, unverified: bool = False) -> AliasChange | None:
        body = {"study": study, "version": version, "unverified": unverified}
        return self._service.send("PUT", AliasChange | None, f"/champions/aliases/{_quoted(alias)}", body)

    def alias_history(self, alias: str) -> list[AliasChange]:
        return self._service.get(list[AliasChange], f"/champions/aliases/{_quoted(alias)}")

    def fetch_champion(self, reference: str, to: Path | str) -> RegisteredChampion:
        """As ``tuner.api.fetch_champion``: every file is checked here too, against the digest that was promised."""
        from tuner.champion.registry.archive import unpack

        with tempfile.TemporaryFile() as archive:
            with self._service.streaming(f"/champions/{_quoted(reference)}/download") as answer:
                digest = answer.headers[_DIGEST]
                for piece in self._service.received(answer):
                    archive.write(piece)
            archive.seek(0)
            fetched = unpack(archive, digest, f"champion {reference}", Path(to))
        found = self.list_champions(fetched.study)
        return next(each for each in found if each.digest == digest)

    # --- charts

    def history_chart(self, study: str, points: int = USUAL_POINTS) -> Points:
        return self._service.get(Points, f"{_of(study)}/charts/history", points=points)

    def curves_chart(self, study: str, trials: Sequence[int] = ()) -> list[TrialCurve]:
        return self._service.get(list[TrialCurve], f"{_of(study)}/charts/curves", trial=list(trials))

    def importances_chart(self, study: str) -> dict[str, dict[str, float]]:
        return self._service.get(dict[str, dict[str, float]], f"{_of(study)}/charts/importances")

    def parameters_chart(self, study: str) -> ParameterChart:
        return self._service.get(ParameterChart, f"{_of(study)}/charts/parameters")


def _as_written(spec: SearchSpec | Mapping[str, Any]) -> dict[str, Any]:
    return spec.stored() if isinstance(spec, SearchSpec) else dict(spec)


def _of(study: str) -> str:
    return f"/studies/{_quoted(study)}"


def _quoted(name: str) -> str:
    # Dots alone would be taken for folders.
    return quote(name, safe="").replace(".", "%2E") if set(name) <= {"."} else quote(name, safe="")
