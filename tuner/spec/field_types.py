"""Types that the keys of a spec share: durations, paths, places of code, counts."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from tuner.spec.constraints import COMPARISON, normal_comparison

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: Any) -> Any:
    """Seconds from ``90m``, ``2h``, ``1d``, ``45s`` or a number of seconds; anything else is left to the type check."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if not match:
            raise ValueError("must be a number of seconds or a number with a unit, such as 45s, 90m, 2h or 1d")
        return float(match[1]) * _SECONDS[match[2] or "s"]
    return value


def resolve(path: Path, info: ValidationInfo) -> Path:
    """An absolute path; a relative one starts at the context's ``base``, the folder of the spec's file."""
    base = (info.context or {}).get("base", Path.cwd())
    try:
        return Path(base, path.expanduser()).absolute()
    except RuntimeError:
        raise ValueError(f"the path begins with {path.parts[0]!r}, but this machine has no such user") from None


# YAML's `true` is not the number 1.
PositiveInt = Annotated[int, Strict(), Field(gt=0)]
Count = Annotated[int, Strict(), Field(ge=0)]
_TEN_YEARS = 10 * 365 * 86400
_SecondsOrText = Annotated[float, Field(gt=0, le=_TEN_YEARS)] | Annotated[str, Field(pattern=f"^{_DURATION.pattern}$")]
Duration = Annotated[
    float, Field(gt=0, le=_TEN_YEARS), BeforeValidator(parse_duration, json_schema_input_type=_SecondsOrText)
]
ResolvedPath = Annotated[Path, AfterValidator(resolve)]
Memory = Annotated[str, Field(pattern=r"^\d+[KMGT]$")]
_WrittenComparison = Annotated[str, Field(pattern=f"^{COMPARISON.pattern}$")]
Comparison = Annotated[str, BeforeValidator(normal_comparison, json_schema_input_type=_WrittenComparison)]


# What names an object of the user's code, which may be an attribute of one of the module's.
CODE = r".*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


def is_attribute(name: str) -> bool:
    """Whether a module may have such an attribute, or one of its attributes may."""
    return all(part.isidentifier() for part in name.split("."))


def resolve_code(name: str, info: ValidationInfo) -> str:
    """The name of an object of the user's code, with an absolute path. Raises ValueError for anything else."""
    place, colon, attribute = name.rpartition(":")
    if not colon or not is_attribute(attribute):
        raise ValueError("must be written as package.module:function or path/to/file.py:function")
    return f"{resolve(Path(place), info)}:{attribute}" if place.endswith(".py") else name


# Of a property's JSON Schema, what a value is held to.
_RULES = ("type", "enum", "pattern", "minLength", "anyOf")

# A function of the user's.
CodePlace = Annotated[str, AfterValidator(resolve_code), Field(json_schema_extra={"pattern": f"^{CODE}$"})]


class Section(BaseModel):
    """A mapping of keys: an unknown key is an error, and nothing of it changes once it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def or_short_form(mapping: JsonSchemaValue, key: str) -> JsonSchemaValue:
    """The JSON Schema of a mapping that may also be written as the value of one of its keys alone."""
    alone = {name: rule for name, rule in mapping["properties"][key].items() if name in _RULES}
    described: JsonSchemaValue = {name: mapping.pop(name) for name in ("title", "description") if name in mapping}
    return {**described, "anyOf": [alone, mapping]}


def fields_by_key(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """A section's fields by the keys that a spec has for them."""
    return {str(info.validation_alias or name): info for name, info in section.model_fields.items()}


def kinds_of(annotation: Any) -> tuple[Any, ...]:
    """The members of a union without None, and without what they are annotated with."""
    if get_origin(annotation) is Annotated:
        return kinds_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(kind for each in get_args(annotation) if each is not type(None) for kind in kinds_of(each))
    return (annotation,)


def section_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a key's mapping, or of each of its items; the first one of several."""
    for kind in (each for one in kinds_of(annotation) for each in (one, *get_args(one))):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def has_names(annotation: Any) -> bool:
    """Whether the keys of a key's mapping are names of the user's own."""
    return any(get_origin(kind) is dict for kind in kinds_of(annotation))
