"""How pages are rendered: templates, what all of them know, and the page that tells what went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from storage.tokens import Scope
from tuner.http.access import ANONYMOUS, COOKIE, Caller, secret_of
from tuner.http.error_responses import Fault
from tuner.http.pages.static_files import address_of
from tuner.presentation.tables import show
from tuner.presentation.views import ago
from tuner.report.style import OUTCOMES

# Pages have what a token alone may see.
_HEADERS = {"Cache-Control": "no-store"}


def _quoted(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def study_address(study: str) -> str:
    """Where a study's page is."""
    return f"/studies/{_quoted(study)}"


def champion_address(study: str, version: int) -> str:
    """Where a champion's page is."""
    return f"/champions/{_quoted(study)}/{version}"


def _size(count: int) -> str:
    """Bytes in words: ``3.2 MB``."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def export_address(study: str) -> str:
    """Where a study's champion is exported."""
    return f"{study_address(study)}/export"


def api_address(study: str) -> str:
    """Where the API has a study."""
    return f"/api/v1/studies/{_quoted(study)}"


def _with_query(path: str, **parameters: Any) -> str:
    """A path with those parameters that are not None."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


# Of help, which has code in it and nothing that leads away.
_INLINE = MarkdownIt("commonmark", {"html": False}).disable(["link", "autolink", "image"])


def _markdown(text: str) -> Markup:
    """A line of Markdown as HTML; what is HTML in it is escaped."""
    return Markup(_INLINE.renderInline(text))


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("tuner.http.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(show=show, quoted=_quoted, ago=ago, when=_when, size=_size, markdown=_markdown)
    made.globals.update(
        static=address_of,
        with_query=_with_query,
        study_address=study_address,
        champion_address=champion_address,
        api_address=api_address,
        export_address=export_address,
        outcome_colors=json.dumps(OUTCOMES),
    )
    return made


_TEMPLATES = _environment()


def page(request: Request, template: str, *, answer_status: int = 200, **values: Any) -> HTMLResponse:
    """A template as the answer.

    Every template knows besides ``values``: ``path`` of the page, ``caller`` (None where nobody was asked who they
    are), ``signed_in``, ``may(scope)``, and ``csrf`` for the hidden field of that name in every form.
    """
    text = _TEMPLATES.get_template(template).render(**_shared(request), **values)
    return HTMLResponse(text, answer_status, dict(_HEADERS))


def _shared(request: Request) -> dict[str, Any]:
    caller: Caller | None = getattr(request.state, "caller", None)

    def may(scope: Scope) -> bool:
        return caller is not None and caller.may(scope)

    return {
        "path": request.url.path,
        "caller": caller,
        "signed_in": COOKIE in request.cookies and caller is not None and caller.name != ANONYMOUS,
        "may": may,
        "csrf": request.app.state.service.access.csrf_of(secret_of(request)),
    }


def fault_page(request: Request, fault: Fault) -> HTMLResponse:
    """What went wrong, in the words of the API; a page that was only looked at comes by itself once it can."""
    again: Mapping[str, str] = fault.headers if request.method == "GET" else {}
    shown = again.get("Retry-After")
    answer = page(request, "fault.html", answer_status=fault.status, fault=fault, again=shown)
    answer.headers.update(fault.headers)
    return answer
