"""Exporting a study's champion: the form, and how the exports of this service stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from storage.errors import UnknownTrial
from tuner import queries
from tuner.champion.export.options import ExportOptions
from tuner.champion.formats.offered import FORMATS
from tuner.errors import ExportError, UnreadableSpec
from tuner.http.pages.forms import OWN_FORM, gone_to
from tuner.http.pages.templating import export_address, page
from tuner.http.parameters import Answers, ExportId, Study
from tuner.http.routes.exports import Launcher, begun
from tuner.http.service import Service

router = APIRouter(prefix="/studies/{study}/export", include_in_schema=False)
_USUAL = ExportOptions()
_HELP = {name: (field.description or "").replace("`", "") for name, field in ExportOptions.model_fields.items()}
_NUMBERS = ("trial", "top", "max_bytes", "max_latency_ms", "seeds")
_CHECKS = ("single", "smallest", "refit")


@router.get("")
async def blank(request: Request, service: Answers, study: Study) -> Response:
    return await _form(request, service, study, {"formats": list(_USUAL.formats)}, {})


@router.post("", dependencies=[OWN_FORM])
async def sent(request: Request, service: Answers, study: Study, caller: Launcher) -> Response:
    form = await request.form()
    typed: dict[str, Any] = {name: str(form[name]).strip() for name in (*_NUMBERS, "prefer") if form.get(name)}
    typed |= {name: name in form for name in _CHECKS}
    typed["formats"] = [str(each) for each in form.getlist("formats")]
    try:
        options = ExportOptions.model_validate(typed)
        await begun(service, study, options, caller.name)
    except ValidationError as error:
        problems = {str(each["loc"][0]): each["msg"] for each in error.errors()}
        return await _form(request, service, study, typed, problems, 422)
    except UnknownTrial as error:
        return await _form(request, service, study, typed, {"trial": str(error)}, 404)
    except (ExportError, UnreadableSpec) as error:
        return await _form(request, service, study, typed, {"": str(error)}, 409)
    return gone_to(export_address(study))


@router.post("/{export}/cancel", dependencies=[OWN_FORM])
async def cancel(service: Answers, study: Study, export: ExportId, caller: Launcher) -> Response:
    await service.exports.cancel(study, export, caller.name)
    return gone_to(export_address(study))


async def _form(
    request: Request,
    service: Service,
    study: str,
    typed: Mapping[str, Any],
    problems: Mapping[str, str],
    status: int = 200,
) -> Response:
    found = await service.found(queries.study_status, study)
    return page(
        request,
        "export.html",
        answer_status=status,
        study=study,
        status=found,
        exports=service.exports.of(study),
        typed=typed,
        problems=problems,
        usual=_USUAL,
        help=_HELP,
        formats=FORMATS,
    )
