"""The API's documentation as a page, with scripts from here: it works without internet."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

router = APIRouter(include_in_schema=False)
_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Keras Champion: API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/start.css">
</head>
<body>
<p><a href="/">Keras Champion: studies</a></p>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# Its own style is light; turned over it is dark, with the same hues.
_STYLE = """body { margin: 0; font: 16px system-ui, sans-serif; }
body > p { margin: 0; padding: .8rem 1.25rem; }
@media (prefers-color-scheme: dark) {
  :root { background: #14161a; }
  #api { filter: invert(.95) hue-rotate(180deg); }
}
"""
_START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#api", deepLinking: true});\n'


@router.get("/docs")
async def page() -> Response:
    return HTMLResponse(_PAGE)


@router.get("/docs/start.js")
async def start() -> Response:
    return Response(_START, media_type="text/javascript")


@router.get("/docs/start.css")
async def style() -> Response:
    return Response(_STYLE, media_type="text/css")


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    # The package itself would import its adapters to other frameworks.
    found = find_spec("swagger_ui")
    if name not in _FILES or found is None or found.origin is None:
        raise HTTPException(404)
    return FileResponse(Path(found.origin).parent / "static" / name)
