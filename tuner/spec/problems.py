"""What pydantic found wrong in a spec, in the words of the spec's author: the dotted key and what is allowed there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from tuner.errors import Problem
from tuner.spec.field_types import fields_by_key, has_names, section_in

# pydantic puts the tried type of a union and the names of validators among the keys.
_NOT_A_KEY = re.compile(r"function-.*|constrained-.*|literal\[.*\]|int|float|str|bool")
_UNKNOWN = "extra_forbidden"
_NO_KIND = ("union_tag_not_found", "union_tag_invalid")
# The first objective may be written without the list.
_LEADING = ("objective", "0")
_NO_MAPPING = ("model_type", "model_attributes_type", "dict_type")
_CONTRADICTION = "contradiction"
# Nobody reads more, and each is held against all others.
MOST_PROBLEMS = 200
_SAID_WHOLE = ("value_error", _CONTRADICTION)


def contradiction(message: str, *keys: str) -> ValidationError:
    """What a section's validator raises if some of its keys do not go together.

    Args:
        keys: within the section. It is a problem of the first one, and none where one of them is wrong by itself.
    """
    said = PydanticCustomError(_CONTRADICTION, "{message}", {"message": message, "keys": keys})
    return ValidationError.from_exception_data(
        "spec", [{"type": said, "loc": tuple(keys[0].split(".")), "input": None}]
    )


@dataclass(frozen=True)
class SpecModel:
    """How a spec is described.

    Attributes:
        model: the whole of it.
        kinds: the sections that a value of their key ``kind`` chooses; pydantic puts that value among the keys.
        stand_ins: values that do for keys that must be there.
        not_offered: keys and kinds that are not named where it is said what is allowed.
    """

    model: type[BaseModel]
    kinds: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    stand_ins: Mapping[str, Any] = field(default_factory=dict)
    not_offered: Collection[str] = ()


def problems_of(error: ValidationError, spec: SpecModel, known: Sequence[Problem] = ()) -> list[Problem]:
    """One problem per key; what the members of a union refuse is said together. Of very many the first 200.

    Args:
        known: of the keys that these are about nothing more is said.
    """
    found: dict[tuple[str, ...], list[Any]] = {}
    for item in error.errors(include_url=False):
        place = _place_of(item)
        if place in found or len(found) + len(known) < MOST_PROBLEMS:
            found.setdefault(place, []).append(item)
    return [
        Problem(_dotted(place, spec), _message(items, place, spec))
        for place, items in found.items()
        if not any(is_said(key, known) for key in _keys_of(items[0], place, spec))
    ]


def unknown_keys(error: ValidationError, spec: SpecModel) -> list[str]:
    """The keys that a spec does not have."""
    unknown = (_dotted(_place_of(item), spec) for item in error.errors() if item["type"] == _UNKNOWN)
    return list(dict.fromkeys(unknown))


def is_said(key: str, known: Iterable[Problem]) -> bool:
    """Whether there is a problem of that key, of a section that it is in, or of one that is in it."""
    return any(f"{key}.".startswith(f"{each.key}.") or f"{each.key}.".startswith(f"{key}.") for each in known)


def leave_out(raw: dict[str, Any], error: ValidationError, spec: SpecModel) -> None:
    """Takes what is wrong out of a spec, so that the rest can be looked at."""
    for item in error.errors():
        path = _path_of(_place_of(item), spec)
        if not _taken_out(raw, path):
            raw.pop(path[0], None)
            if path[0] in spec.stand_ins:
                raw[path[0]] = spec.stand_ins[path[0]]


def _taken_out(raw: dict[str, Any], path: Sequence[str]) -> bool:
    """Whether there was something to take out: the value, or what is in the place of its mapping."""
    node: Any = raw
    holder, last = raw, path[0]
    for part in path:
        if not isinstance(node, dict):
            break
        if part not in node:
            return False
        holder, last, node = node, part, node[part]
    del holder[last]
    return True


def _place_of(item: Any) -> tuple[str, ...]:
    place = tuple(str(part) for part in item["loc"] if not _NOT_A_KEY.fullmatch(str(part)))
    return (_LEADING[0], *place[2:]) if place[:2] == _LEADING else place


def _path_of(place: Sequence[str], spec: SpecModel) -> list[str]:
    return [part for number, part in enumerate(place) if not (number == 1 and part in spec.kinds)]


def _dotted(place: Sequence[str], spec: SpecModel) -> str:
    return ".".join(_path_of(place, spec))


def _keys_of(item: Any, place: Sequence[str], spec: SpecModel) -> list[str]:
    """The keys that something is wrong with; several that do not go together."""
    if item["type"] != _CONTRADICTION:
        return [_dotted(place, spec)]
    keys = item["ctx"]["keys"]
    section = place[: len(place) - len(keys[0].split("."))]
    return [_dotted((*section, *key.split(".")), spec) for key in keys]


def _message(items: Sequence[Any], place: Sequence[str], spec: SpecModel) -> str:
    item = items[0]
    if item["type"] in _NO_KIND:
        return f"kind must be one of {', '.join(kind for kind in spec.kinds if kind not in spec.not_offered)}"
    if item["type"] == _UNKNOWN:
        return _unknown_key(place, spec)
    if item["type"] == "missing":
        return "is required"
    if item["type"] in _NO_MAPPING:
        allowed = _allowed(place, spec)
        return f"must be a mapping with the keys {', '.join(allowed)}" if allowed else "must be a mapping"
    message = ", or ".join(dict.fromkeys(_wanted(each["msg"]) for each in items))
    if item["type"] in _SAID_WHOLE:
        return message
    message, given = f"must be {message}", item.get("input")
    if isinstance(given, str | int | float | bool | None):
        message += f" (it is {'null' if given is None else repr(given)})"
    return message


def _wanted(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    text = re.sub(r", (unable to parse|got a number).*", "", text)
    return re.sub(r"^a valid (?=[aeiou])", "an ", text).replace("a valid ", "a ")


def _unknown_key(place: Sequence[str], spec: SpecModel) -> str:
    allowed = _allowed(place[:-1], spec)
    if not allowed:
        return "unknown key"
    near = get_close_matches(place[-1], allowed, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"unknown key; {meant}the allowed keys are {', '.join(allowed)}"


def _allowed(place: Sequence[str], spec: SpecModel) -> list[str]:
    """The keys of a section; empty for what is none."""
    section = _section(place, spec)
    if section is None:
        return []
    return [key for key in fields_by_key(section) if _dotted((*place, key), spec) not in spec.not_offered]


def _section(place: Sequence[str], spec: SpecModel) -> type[BaseModel] | None:
    """The part of the spec that a path leads to."""
    section: type[BaseModel] | None = spec.model
    of_names = False
    for number, part in enumerate(place):
        if of_names:
            of_names = False
            continue
        if number == 1 and part in spec.kinds:
            section = spec.kinds[part]
            continue
        info = fields_by_key(section).get(part) if section else None
        if info is None:
            return None
        section, of_names = section_in(info.annotation), has_names(info.annotation)
    return None if of_names else section
