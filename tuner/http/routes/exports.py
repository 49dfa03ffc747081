"""Exports: begin one, look how it stands, end it."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from tuner.champion.export.requests import ExportAsked, ExportView
from tuner.http.access import Caller, needs
from tuner.http.parameters import Answers, Study, Text
from tuner.http.service import Service
from tuner.json_codec import as_json

router = APIRouter(prefix="/api/v1/studies/{study}/exports", tags=["champions"])
Launcher = Annotated[Caller, Depends(needs("launch"))]


async def begun(service: Service, study: str, asked: ExportAsked, who: str) -> ExportView:
    """Begins an export, if the study can give it. Raises as ``ExportAsked.check``."""
    await service.reads.run(partial(asked.check, service.database, study))
    return service.exports.begin(study, asked, who)


@router.post("", response_model=ExportView, status_code=202)
async def begin(service: Answers, study: Study, asked: ExportAsked, caller: Launcher) -> Response:
    """Begins to export the study's champion: it is proven and registered as `tuner export` does it.

    One export runs at a time. Asking again for one that waits or runs gives that one.
    """
    return _answer(await begun(service, study, asked, caller.name), 202)


@router.get("", response_model=list[ExportView])
async def list_exports(service: Answers, study: Study) -> Response:
    """The study's exports since the service was started, the newest first."""
    return Response(as_json(list[ExportView], service.exports.of(study)), media_type="application/json")


@router.get("/{export}", response_model=ExportView)
async def show(
    service: Answers,
    study: Study,
    export: Text,
    wait: Annotated[float, Query(ge=0, le=30, description="Seconds to wait for its end.")] = 0,
) -> Response:
    """How an export stands; `end` has the champion's version, or the fault."""
    return _answer(await service.exports.ended(study, export, wait))


@router.delete("/{export}", response_model=ExportView)
async def cancel(service: Answers, study: Study, export: Text, caller: Launcher) -> Response:
    """Ends an export that waits or runs; nothing of it stays."""
    return _answer(await service.exports.cancel(study, export, caller.name))


def _answer(view: ExportView, status: int = 200) -> Response:
    return Response(as_json(ExportView, view), status, media_type="application/json")
