"""Routes that list, promote and download champions."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from storage.aliases import AliasChange
from tuner.champion.registry import registered
from tuner.champion.registry.registered import RegisteredChampion
from tuner.http.access import Caller, needs
from tuner.http.parameters import Alias, Answers, Cursor, Limit, Reference
from tuner.http.streams import streamed
from tuner.queries.paging import USUAL_PAGE, Page

router = APIRouter(prefix="/api/v1/champions", tags=["champions"])
DIGEST_HEADER = "Champion-Digest"
_TAR = "application/x-tar"
_ARCHIVE: dict[int | str, dict[str, Any]] = {
    200: {"content": {_TAR: {"schema": {"type": "string", "format": "binary"}}}}
}


class Promotion(BaseModel):
    """The champion that an alias is to point to."""

    model_config = ConfigDict(extra="forbid")

    study: str = Field(max_length=512, pattern=r"^[^\x00]+$", description="Name of the champion's study.")
    version: int = Field(ge=1, lt=2**31, description="Version of the champion.")
    unverified: bool = Field(False, description="Accept a champion even if its value was not reproduced.")


@router.get("", response_model=Page[RegisteredChampion], summary="List champions")
async def list_champions(
    service: Answers,
    study: Annotated[
        str | None,
        Query(max_length=512, pattern=r"^[^\x00]+$", description="List only the champions of this study."),
    ] = None,
    limit: Limit = USUAL_PAGE,
    cursor: Cursor = None,
) -> Response:
    """Lists the champions of all studies or of one, the newest first, page by page."""
    return await service.answer(Page[RegisteredChampion], registered.champion_page, study, limit=limit, cursor=cursor)


@router.put("/aliases/{alias}", response_model=AliasChange | None, summary="Point an alias at a champion")
async def promote(
    service: Answers, alias: Alias, promotion: Promotion, caller: Annotated[Caller, Depends(needs("launch"))]
) -> Response:
    """Points an alias to a champion. Returns the change, or null if the alias already pointed to that champion."""
    return await service.done(
        AliasChange | None,
        registered.promote,
        promotion.study,
        promotion.version,
        alias,
        unverified=promotion.unverified,
        who=f"{caller.name} over HTTP",
    )


@router.get("/aliases/{alias}", response_model=list[AliasChange], summary="List the changes of an alias")
async def alias_history(service: Answers, alias: Alias) -> Response:
    """Lists every change of an alias, the newest first."""
    return await service.answer(list[AliasChange], registered.alias_history, alias)


@router.get("/{reference}/download", response_class=Response, responses=_ARCHIVE, summary="Download a champion")
async def download(service: Answers, reference: Reference) -> Response:
    """Downloads a champion's files as a tar archive that contains one folder.

    The `Champion-Digest` header holds a SHA-256 over the sorted names and hashes of the files. It is the digest that
    `tuner champions` shows.
    """
    found = await service.reads.run(partial(registered.stream_champion, reference, storage=service.database))
    headers = {
        DIGEST_HEADER: found.digest,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.folder, safe='')}.tar",
    }
    return await streamed(service, lambda: found.pieces, _TAR, headers)
