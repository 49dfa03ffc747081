"""Styles and scripts, from here alone: the pages work without internet."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
_FOLDER = Path(__file__).parent / "static"
_PLOTLY = "plotly.min.js"
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str
    version: str


def address_of(name: str) -> str:
    """Where a file is; another version of it has another address."""
    return f"/static/{name}?v={_file(name).version}"


@cache
def _file(name: str) -> _File:
    content = _place_of(name).read_bytes()
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _File(content, media_type, hashlib.sha256(content).hexdigest()[:16])


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(_file(name).content, 6, mtime=0)


def _place_of(name: str) -> Path:
    if name == _PLOTLY:
        # The package itself takes long to import.
        found = find_spec("plotly")
        assert found is not None and found.origin is not None
        return Path(found.origin).parent / "package_data" / name
    return _FOLDER / name


@router.get("/static/{name}")
async def file(request: Request, name: str, v: str = "") -> Response:
    if name != _PLOTLY and name not in {each.name for each in _FOLDER.iterdir()}:
        raise HTTPException(404)
    found = _file(name)
    headers = {
        "Cache-Control": _FOR_EVER if v == found.version else "no-cache",
        "ETag": f'"{found.version}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(found.content, headers=headers, media_type=found.media_type)
    # Plotly takes a moment, once.
    packed = await to_thread.run_sync(_packed, name)
    return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=found.media_type)
