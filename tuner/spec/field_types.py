"""Types that the keys of a spec share: durations, paths, places of code, counts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo

from tuner.spec.constraints import normal_comparison

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: Any) -> Any:
    """Seconds from ``90m``, ``2h``, ``1d``, ``45s`` or a number of seconds; anything else is left to the type check."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if not match:
            raise ValueError("use a number of seconds, or one with a unit: 45s, 90m, 2h, 1d")
        return float(match[1]) * _SECONDS[match[2] or "s"]
    return value


def resolve(path: Path, info: ValidationInfo) -> Path:
    """An absolute path; a relative one starts at the context's ``base``, the folder of the spec's file."""
    base = (info.context or {}).get("base", Path.cwd())
    try:
        return Path(base, path.expanduser()).absolute()
    except RuntimeError:
        raise ValueError(f"there is no user {path.parts[0]!r}") from None


# YAML's `true` is not the number 1.
PositiveInt = Annotated[int, Strict(), Field(gt=0)]
Count = Annotated[int, Strict(), Field(ge=0)]
_TEN_YEARS = 10 * 365 * 86400
Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=_TEN_YEARS)]
ResolvedPath = Annotated[Path, AfterValidator(resolve)]
Memory = Annotated[str, Field(pattern=r"^\d+[KMGT]$")]
Comparison = Annotated[str, BeforeValidator(normal_comparison)]


def _resolve_code(name: str, info: ValidationInfo) -> str:
    place, colon, attribute = name.rpartition(":")
    if not colon or not attribute.isidentifier():
        raise ValueError("package.module:function or path/to/file.py:function")
    return f"{resolve(Path(place), info)}:{attribute}" if place.endswith(".py") else name


# A function of the user's.
CodePlace = Annotated[str, AfterValidator(_resolve_code)]


class Section(BaseModel):
    """A mapping of keys: an unknown key is an error, and nothing of it changes once it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
