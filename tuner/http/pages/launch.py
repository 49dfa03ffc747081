"""The form that launches a search: the spec is checked and shown whole, and then launched as it was shown.

It needs no script, and what was typed is in every answer: a form that is sent comes back until its study is there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from storage.errors import StorageError, StudyExists
from tuner import queries
from tuner.errors import LaunchError, Problem, SpecError, TunerError
from tuner.http.access import needs, secret_of
from tuner.http.error_responses import fault_of, problems_of
from tuner.http.launching import checked, launched
from tuner.http.pages.data_folders import Listing, listing
from tuner.http.pages.forms import gone_to
from tuner.http.pages.spec_form.fields import KIND, KINDS, data_fields, sections
from tuner.http.pages.spec_form.reading import OVER, WHOLE, fields_of, kind_of, raw_spec
from tuner.http.pages.templating import page, study_address
from tuner.http.parameters import Answers
from tuner.http.service import Service
from tuner.spec.choices import SPACES
from tuner.spec.yaml_text import as_yaml, parse_yaml

router = APIRouter(include_in_schema=False)
_POOL = "pool"
# The fields at which errors are shown that are not about a key of the spec.
_PLACES: Mapping[type[Exception], str] = {
    StudyExists: "study",
    LaunchError: "on",
}
_OLD_PAGE = "this page was outdated: check it again and send it once more"
_CHANGED = "the spec is no longer the one that was checked: check it again"


@dataclass(frozen=True)
class _Shown:
    """What an answer shows beside the fields.

    Attributes:
        problems: by the key of the field that each stands at.
        others: what belongs to no field.
        checked: the whole spec that would be launched.
        listings: folders to choose from, by the key of a path's field.
    """

    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    checked: str | None = None
    listings: Mapping[str, Listing] = field(default_factory=dict)
    status: int = 200


@router.get("/launch")
async def blank(request: Request, service: Answers) -> Response:
    return await _form(request, service, {WHOLE: ""} if request.query_params.get("as") == "yaml" else {}, _Shown())


@router.post("/launch", dependencies=[Depends(needs("launch"))])
async def sent(request: Request, service: Answers, csrf: Annotated[str, Form(max_length=200)] = "") -> Response:
    typed = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    if not service.access.is_csrf(secret_of(request), csrf):
        return await _form(request, service, typed, _Shown(others=(_OLD_PAGE,), status=403))
    try:
        return await _acted(request, service, typed)
    except (TunerError, StorageError) as error:
        # Bound to another name, which outlives the block.
        refused = error
        shown = await service.checking(lambda: _told(service, typed, refused))
        return await _form(request, service, typed, shown)


async def _acted(request: Request, service: Service, typed: dict[str, str]) -> Response:
    """What the button asked for that sent the form."""
    if "browse" in typed or any(name.startswith("pick.") for name in typed):
        return await _browsed(request, service, typed)
    action = typed.get("action", "check")
    if action == "fields":
        return await _form(request, service, typed, _Shown())
    raw, text = await service.checking(lambda: _read_and_checked(service, typed))
    if action == "yaml":
        return await _form(request, service, typed | {WHOLE: text}, _Shown())
    if action != "launch":
        return await _form(request, service, typed, _Shown(checked=text))
    if typed.get("digest") != _digest(text):
        return await _form(request, service, typed, _Shown(others=(_CHANGED,), checked=text, status=409))
    on, workers = _place(typed)
    status = await service.launching(lambda: launched(service, raw, on, workers))
    return gone_to(study_address(status.study))


def _read_and_checked(service: Service, typed: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """What was typed, and the whole spec that it stands for. It can take long, and is for a thread."""
    raw, wrong = raw_spec(typed, _spaces(service))
    return raw, as_yaml(checked(service, raw, wrong).stored())


async def _browsed(request: Request, service: Service, typed: dict[str, str]) -> Response:
    picked = [(name.removeprefix("pick."), path) for name, path in typed.items() if name.startswith("pick.")]
    typed = typed | dict(picked)
    key = picked[0][0] if picked else typed["browse"]
    found = await service.checking(lambda: listing(service.settings.data_roots, typed.get(key, "")))
    return await _form(request, service, typed, _Shown(listings={key: found}))


def _place(typed: Mapping[str, str]) -> tuple[str | None, int | None]:
    """The engine and its number of workers; neither for the pool."""
    on = typed.get("on", _POOL)
    if on == _POOL:
        return None, None
    count = typed.get("workers", "").strip()
    if not count:
        return on, None
    if not re.fullmatch("[1-9][0-9]{0,5}", count):
        raise SpecError("form", [Problem("workers", f"must be a number of workers (it is {count!r})")])
    return on, int(count)


def _told(service: Service, typed: Mapping[str, str], error: Exception) -> _Shown:
    """What went wrong, each at its field."""
    fault = fault_of(error)
    problems = problems_of(error) or (Problem(_place_of(error), fault.message),)
    fields = {*fields_of(kind_of(typed), _spaces(service)), KIND, OVER, WHOLE, "on", "workers"}
    if WHOLE in typed:
        fields = {WHOLE, "on", "workers"}
    at: dict[str, tuple[str, ...]] = {}
    others: list[str] = []
    for problem in problems:
        key = _field_of(problem.key, fields)
        if key is None and problem.key and typed.get(OVER, "").strip():
            # Nowhere else can a key have come from that has no field.
            key = OVER
        if key is None:
            others.append(str(problem))
        else:
            at[key] = (*at.get(key, ()), str(problem))
    checked = None
    if isinstance(error, LaunchError | StorageError) or {"on", "workers"} & set(at):
        checked = _checked_again(service, typed)
    return _Shown(at, tuple(others), checked, status=fault.status)


def _place_of(error: Exception) -> str:
    return next((key for kind, key in _PLACES.items() if isinstance(error, kind)), "")


def _field_of(key: str, fields: Iterable[str]) -> str | None:
    """The field whose key is that, or leads to it; of the data as a whole, its kind."""
    if key == "data":
        key = KIND
    leading = [each for each in fields if key == each or key.startswith(f"{each}.")]
    return max(leading, key=len, default=None)


def _checked_again(service: Service, typed: Mapping[str, str]) -> str | None:
    with suppress(SpecError, StudyExists):
        return as_yaml(checked(service, *raw_spec(typed, _spaces(service))).stored())
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _spaces(service: Service) -> tuple[str, ...]:
    return (*SPACES, *service.settings.spaces)


def _first(shown: _Shown, kind: str, spaces: tuple[str, ...]) -> str | None:
    """The first field in which something is wrong, from the top; none if it stands above all of them."""
    study, *others = sections(spaces)
    order = [KIND, *(each.key for each in data_fields(kind)), *(each.key for part in others for each in part.fields)]
    every = ["on", "workers", WHOLE, *(each.key for each in study.fields), *order, OVER]
    return None if shown.others else next((key for key in every if key in shown.problems), None)


async def _standing(service: Service, checked: str | None) -> int | None:
    """How many standing workers would take the study; None while the database is away."""
    if checked is None:
        return None
    study = (await service.checking(lambda: parse_yaml(checked, "form")))["study"]
    with suppress(StorageError):
        pools = await service.found(queries.list_pools)
        return sum(each.serves(study) for each in pools)
    return None


async def _form(request: Request, service: Service, typed: Mapping[str, str], shown: _Shown) -> Response:
    kind = kind_of(typed)
    standing = await _standing(service, shown.checked)
    values: dict[str, Any] = {
        "typed": typed,
        "shown": shown,
        "kind": kind,
        "kinds": {each: data_fields(each) for each in KINDS},
        "sections": sections(_spaces(service)),
        "roots": tuple(map(str, service.settings.data_roots)),
        "engines": service.settings.launchers,
        "max_workers": service.settings.max_workers,
        "digest": None if shown.checked is None else _digest(shown.checked),
        "pool": _POOL,
        "standing": standing,
        "focus": _first(shown, kind, _spaces(service)),
    }
    return page(request, "launch.html", answer_status=shown.status, **values)
