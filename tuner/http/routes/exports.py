"""Routes that begin, show and cancel exports."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from tuner.champion.export.export_champion import check_export
from tuner.champion.export.export_view import ExportView
from tuner.champion.export.options import ExportOptions
from tuner.http.access import Caller, needs
from tuner.http.parameters import Answers, ExportId, Study
from tuner.http.service import Service
from tuner.json_codec import as_json

router = APIRouter(prefix="/api/v1/studies/{study}/exports", tags=["champions"])
Launcher = Annotated[Caller, Depends(needs("launch"))]


async def begun(service: Service, study: str, options: ExportOptions, who: str) -> ExportView:
    """Begins an export, if the study can give it. Raises as ``check_export``."""
    await service.reads.run(partial(check_export, service.database, study, options))
    return service.exports.begin(study, options, who)


@router.post("", response_model=ExportView, status_code=202, summary="Start an export")
async def begin(service: Answers, study: Study, options: ExportOptions, caller: Launcher) -> Response:
    """Starts an export of the study's champion, which is proven and registered as by `tuner export`.

    One export runs at a time. Requesting an export that is already waiting or running returns that one.
    """
    return _answer(await begun(service, study, options, caller.name), 202)


@router.get("", response_model=list[ExportView], summary="List exports")
async def list_exports(service: Answers, study: Study) -> Response:
    """Lists the study's exports since the service was started, the newest first."""
    return Response(as_json(list[ExportView], service.exports.of(study)), media_type="application/json")


@router.get("/{export}", response_model=ExportView, summary="Show an export")
async def show(
    service: Answers,
    study: Study,
    export: ExportId,
    wait: Annotated[
        float, Query(ge=0, le=30, description="Seconds to wait for the export to end before answering.")
    ] = 0,
) -> Response:
    """Shows the state of an export. Once it has ended, `end` holds the champion's version or the error."""
    return _answer(await service.exports.ended(study, export, wait))


@router.delete("/{export}", response_model=ExportView, summary="Cancel an export")
async def cancel(service: Answers, study: Study, export: ExportId, caller: Launcher) -> Response:
    """Cancels an export that is waiting or running. Nothing of it is kept."""
    return _answer(await service.exports.cancel(study, export, caller.name))


def _answer(view: ExportView, status: int = 200) -> Response:
    return Response(as_json(ExportView, view), status, media_type="application/json")
