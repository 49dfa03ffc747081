"""Every error of a request becomes an answer here: JSON for programs, a page for browsers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from storage.errors import StorageError
from tuner.errors import NoAccess, TunerError
from tuner.http.access import SIGN_IN
from tuner.http.error_responses import Fault, fault_of
from tuner.http.pages.templating import fault_page
from tuner.http.parameters import with_slashes

_LOG = logging.getLogger("tuner.http")


def add_handlers(app: FastAPI) -> None:
    """Makes every error of an application have the one shape, the framework's too."""
    app.add_exception_handler(TunerError, _known)
    app.add_exception_handler(StorageError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_framework)


def told(request: Request, fault: Fault) -> Response:
    """A fault as the page that a browser shows, or as JSON."""
    return fault_page(request, fault) if _is_for_browser(request) else fault.as_json()


def _is_for_browser(request: Request) -> bool:
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


async def _known(request: Request, error: Exception) -> Response:
    if isinstance(error, NoAccess) and _is_for_browser(request) and request.method == "GET":
        return _to_sign_in(request)
    fault = fault_of(error)
    if fault.status == 503:
        _LOG.warning("%s", error)
    return told(request, fault)


def _to_sign_in(request: Request) -> Response:
    # As it was sent: a slash in a name stays %2F.
    path = (request.scope.get("raw_path") or b"/").partition(b"?")[0] or b"/"
    query = request.scope["query_string"]
    wanted = path + (b"?" + query if query else b"")
    return RedirectResponse(f"{SIGN_IN}?next={quote(wanted, safe='')}", 303)


def failed(request: Request, error: Exception) -> Response:
    """What nobody expected: the log has all of it, the answer nothing."""
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return told(request, fault_of(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    where = tuple({"key": _key(each), "message": _said_of(each, request)} for each in error.errors())
    said = "; ".join(f"{each['key']}: {each['message']}" for each in where)
    return told(request, Fault(422, "InvalidRequest", said, where))


def _said_of(problem: Mapping[str, Any], request: Request) -> str:
    if problem["loc"] == ("body",) and "json" not in request.headers.get("content-type", ""):
        return "must be JSON, with the header Content-Type: application/json"
    return str(problem["msg"])


def _key(problem: Mapping[str, Any]) -> str:
    # The first is where the value came from: query, path or body. What follows in text that is no JSON is a position.
    place = problem["loc"][:1] if problem["type"] == "json_invalid" else problem["loc"]
    return ".".join(str(each) for each in place[1:]) or str(place[0])


async def _of_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    if error.status_code == 404:
        message = f"there is nothing at {with_slashes(request.url.path)}; /docs lists what there is"
    elif error.status_code == 405:
        message = f"{request.method} is not for {with_slashes(request.url.path)}; /docs lists what is"
    else:
        message = str(error.detail)
    code = phrase.title().replace(" ", "")
    return told(request, Fault(error.status_code, code, message, headers=dict(error.headers or {})))
