"""Champions: which there are, what they are called, what is known of one; promoting it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import Response

from tuner.champion.registry import registered
from tuner.http.access import Caller, needs
from tuner.http.pages.forms import OWN_FORM, gone_to
from tuner.http.pages.templating import champion_address, page
from tuner.http.parameters import Answers, Cursor, Study

router = APIRouter(prefix="/champions", include_in_schema=False)
_CHAMPIONS = 25
_MOVES = 20

Version = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("")
async def champions(
    request: Request,
    service: Answers,
    study: Annotated[str | None, Query(max_length=512, pattern=r"^[^\x00]+$")] = None,
    cursor: Cursor = None,
) -> Response:
    found = await service.found(registered.champion_page, study, limit=_CHAMPIONS, cursor=cursor)
    return page(request, "champions.html", study=study, champions=found, first=cursor is None)


@router.get("/{study}/{version}")
async def champion(request: Request, service: Answers, study: Study, version: Version) -> Response:
    found = await service.found(registered.show_champion, study, version)
    aliases = found.champion.aliases
    moves = await asyncio.gather(*(service.found(registered.alias_history, alias) for alias in aliases))
    histories = {alias: changes[:_MOVES] for alias, changes in zip(aliases, moves, strict=True)}
    return page(request, "champion.html", study=study, champion=found.champion, card=found.card, histories=histories)


@router.post("/{study}/{version}/promote", dependencies=[OWN_FORM])
async def promote(
    service: Answers,
    study: Study,
    version: Version,
    caller: Annotated[Caller, Depends(needs("launch"))],
    alias: Annotated[str, Form(max_length=256)] = "",
    unverified: Annotated[bool, Form()] = False,
) -> Response:
    who = f"{caller.name} over HTTP"
    promoted = partial(registered.promote, study, version, alias, unverified=unverified, who=who)
    await service.reads.run(partial(promoted, storage=service.database))
    return gone_to(champion_address(study, version))
