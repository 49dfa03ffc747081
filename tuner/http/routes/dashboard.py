"""optuna-dashboard at /dashboard, for those who like it. It looks; whatever would write is refused.

Its page asks for ``/api/meta``, ``/api/studies`` and ``/csv``: these places are its own, and lie beside ``/api/v1``.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from tuner.errors import ScopeTooSmall
from tuner.http.dashboard import dashboard_folder
from tuner.http.error_responses import fault_of
from tuner.http.parameters import Answers

router = APIRouter(include_in_schema=False)
_LOOKS = ScopeTooSmall(
    "the dashboard is read-only, because it does not know the leases by which workers hold a study's trials. Use the "
    "service's pages or the `tuner` command to change studies"
)
_SCRIPT = "/static/bundle.js"
# In a corner that its own bar of symbols leaves free.
_NOTE = (
    '<p style="position: fixed; right: 0; bottom: 0; z-index: 1300; box-sizing: border-box; '
    "max-width: min(24rem, calc(100vw - 65px)); margin: 0; padding: .4rem .8rem; color: #fff; background: #333; "
    'font: 14px/1.4 system-ui, sans-serif">This dashboard is read-only. '
    'Use <a href="/" style="color: #9cc4ff">the other pages</a> to change studies.</p>'
)
_WRITING = ["POST", "PUT", "PATCH", "DELETE"]
_Id = Annotated[int, Path(ge=0, lt=2**31)]


@router.get(f"/dashboard{_SCRIPT}")
async def script(request: Request) -> Response:
    """Its script, apart from those of the service's own pages."""
    file = dashboard_folder() / "public" / "bundle.js"
    packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return FileResponse(f"{file}.gz" if packed else file, media_type="text/javascript", headers=headers)


@router.get("/dashboard")
@router.get("/dashboard/{rest:path}")
async def page() -> Response:
    """Its one page, whatever of it is looked at."""
    text = (dashboard_folder() / "index.html").read_text(encoding="utf-8")
    text = text.replace(f'"{_SCRIPT}"', f'"/dashboard{_SCRIPT}"')
    return HTMLResponse(text.replace("</body>", f"{_NOTE}</body>"))


@router.get("/api/meta")
@router.get("/api/studies")
async def overview(service: Answers, request: Request) -> Response:
    return await _read(service, request)


@router.get("/api/studies/{study}")
async def study(service: Answers, request: Request, study: _Id, after: Annotated[int, Query(ge=0)] = 0) -> Response:
    return await _read(service, request)


@router.get("/api/studies/{study}/param_importances")
@router.get("/csv/{study}")
async def whole_study(service: Answers, request: Request, study: _Id) -> Response:
    return await _read(service, request)


@router.get("/api/studies/{study}/plot/{kind}")
async def plot(service: Answers, request: Request, study: _Id, kind: str) -> Response:
    return await _read(service, request)


async def _read(service: Answers, request: Request) -> Response:
    dashboard_folder()
    # It would call a database that is away its own failure.
    await service.reads.ask("clock", service.database.clock)
    return await service.dashboard.answer(request)


@router.api_route("/api/studies", methods=_WRITING)
@router.api_route("/api/studies/{rest:path}", methods=_WRITING)
@router.api_route("/api/trials/{rest:path}", methods=_WRITING)
@router.api_route("/api/artifacts/{rest:path}", methods=_WRITING)
async def refuse() -> Response:
    """Its page shows ``reason``."""
    return fault_of(_LOOKS).as_json(reason=str(_LOOKS))
