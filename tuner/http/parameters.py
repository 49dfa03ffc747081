"""What routes take from the URL."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from tuner.http.service import Service, service_of

# A slash of a name, which is %2F in a URL, comes as this character: routes are found by slashes.
SLASH = "\ufdd0"
_MOST = 2**31 - 1


async def _study_name(study: Annotated[str, Path(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]) -> str:
    return study.replace(SLASH, "/")


Answers = Annotated[Service, Depends(service_of)]
Study = Annotated[str, Depends(_study_name)]
Text = Annotated[str, Path(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
Number = Annotated[int, Path(ge=0, le=_MOST, description="The trial's number.")]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="Of the page before; none for the first.")]
