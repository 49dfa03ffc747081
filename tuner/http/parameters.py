"""The parameters that routes read from the URL."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import AfterValidator

from tuner.http.service import Service, service_of

# A slash of a name, which is %2F in a URL, comes as this character: routes are found by slashes.
SLASH = "\ufdd0"
_MOST = 2**31 - 1


def with_slashes(name: str) -> str:
    """A name of a URL's path as it was meant."""
    return name.replace(SLASH, "/")


_AS_MEANT = AfterValidator(with_slashes)
_NO_NUL = r"^[^\x00]+$"
Answers = Annotated[Service, Depends(service_of)]
Study = Annotated[str, Path(min_length=1, max_length=512, pattern=_NO_NUL, description="Name of the study."), _AS_MEANT]
Text = Annotated[str, Path(min_length=1, max_length=256, pattern=_NO_NUL), _AS_MEANT]
ExportId = Annotated[
    str,
    Path(min_length=1, max_length=256, pattern=_NO_NUL, description="The export's id, as the service gave it."),
    _AS_MEANT,
]
Alias = Annotated[
    str,
    Path(min_length=1, max_length=256, pattern=_NO_NUL, description="Alias of a champion, for example production."),
    _AS_MEANT,
]
WorkerName = Annotated[
    str,
    Path(min_length=1, max_length=256, pattern=_NO_NUL, description="The worker's id, or its name in a launch."),
    _AS_MEANT,
]
Reference = Annotated[
    str,
    Path(
        max_length=600,
        pattern=_NO_NUL,
        description="Champion: an alias, STUDY@VERSION, or STUDY for its newest version.",
    ),
    _AS_MEANT,
]
Number = Annotated[int, Path(ge=0, le=_MOST, description="Number of the trial.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Return at most this many items.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="`cursor` of the previous page. Omit it for the first page.")
]
