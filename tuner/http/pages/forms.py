"""Forms of the pages: that they come from a page of this service, and where a browser goes afterwards."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tuner.errors import ScopeTooSmall
from tuner.http.access import secret_of
from tuner.http.parameters import Answers


async def _from_own_page(request: Request, service: Answers, csrf: Annotated[str, Form(max_length=200)] = "") -> None:
    if not service.access.is_csrf(secret_of(request), csrf):
        raise ScopeTooSmall(
            "this form comes from another site or from an outdated page: reload the page and send the form again"
        )


# For every route that a form changes something by; the form has the hidden field ``csrf``.
OWN_FORM = Depends(_from_own_page)


def gone_to(address: str) -> Response:
    """Sends the browser on after a form, so that loading the page anew does nothing twice."""
    return RedirectResponse(address, 303)
