"""Signing in: a token becomes the pages' cookie, and ceases to be it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from tuner.errors import NoAccess
from tuner.http.access import COOKIE, SIGN_IN, is_forwarded, secret_of
from tuner.http.pages.forms import OWN_FORM, gone_to
from tuner.http.pages.templating import page
from tuner.http.parameters import Answers
from tuner.http.service import Service

router = APIRouter(include_in_schema=False)
_DAYS = 30
_Next = Annotated[str, Query(max_length=4000)]


@router.get(SIGN_IN)
async def form(request: Request, service: Answers, next: _Next = "/") -> Response:
    return await _form(request, service, next)


@router.post(SIGN_IN, dependencies=[OWN_FORM])
async def sign_in(
    request: Request,
    service: Answers,
    token: Annotated[str, Form(max_length=500)] = "",
    next: Annotated[str, Form(max_length=4000)] = "/",
) -> Response:
    client = request.client.host if request.client else ""
    service.sign_ins.take(client)
    try:
        await service.access.caller(token.strip())
    except NoAccess as error:
        return await _form(request, service, next, str(error))
    answer = gone_to(_here(next))
    answer.set_cookie(
        COOKIE,
        token.strip(),
        max_age=_DAYS * 86400,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/sign-out", dependencies=[OWN_FORM])
async def sign_out() -> Response:
    answer = gone_to(SIGN_IN)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


async def _form(request: Request, service: Service, next: str, wrong: str | None = None) -> Response:
    try:
        secret = None if wrong else secret_of(request)
        caller, _ = await service.access.caller(secret, is_forwarded(request))
    except NoAccess:
        caller = None
    return page(
        request, "sign_in.html", answer_status=401 if wrong else 200, next=_here(next), wrong=wrong, known=caller
    )


def _here(next: str) -> str:
    """A place of this service: a browser takes ``//host`` and ``/\\host`` for another one."""
    plain = next.isprintable() and next.startswith("/") and not next.startswith(("//", "/\\"))
    try:
        split = urlsplit(next)
    except ValueError:
        return "/"
    return next if plain and not split.scheme and not split.netloc else "/"
