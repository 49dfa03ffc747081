"""What pydantic found wrong in a spec, in the words of the spec's author: the dotted key and what is allowed there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tuner.errors import Problem

# pydantic puts the tried type of a union and the names of validators among the keys.
_NOT_A_KEY = re.compile(r"function-.*|constrained-.*|literal\[.*\]|int|float|str|bool")
_NO_KIND = ("union_tag_not_found", "union_tag_invalid")
# The first objective may be written without the list.
_LEADING = ("objective", "0")
_NO_MAPPING = ("model_type", "model_attributes_type", "dict_type")


def problems_of(error: ValidationError, model: type[BaseModel], kinds: Mapping[str, type[BaseModel]]) -> list[Problem]:
    """One problem per key; what the members of a union refuse is said together.

    Args:
        kinds: the sections that a value of their key ``kind`` chooses; pydantic puts that value among the keys.
    """
    found: dict[tuple[str, ...], list[Any]] = {}
    for item in error.errors():
        path = tuple(str(part) for part in item["loc"] if not _NOT_A_KEY.fullmatch(str(part)))
        if path[:2] == _LEADING:
            path = (_LEADING[0], *path[2:])
        found.setdefault(path, []).append(item)
    problems = []
    for path, items in found.items():
        keys = [part for place, part in enumerate(path) if not (place == 1 and part in kinds)]
        problems.append(Problem(".".join(keys), _message(items, path, model, kinds)))
    return problems


def _message(
    items: Sequence[Any], path: Sequence[str], model: type[BaseModel], kinds: Mapping[str, type[BaseModel]]
) -> str:
    item = items[0]
    if item["type"] in _NO_KIND:
        return f"kind must be one of {', '.join(kinds)}"
    if item["type"] == "extra_forbidden":
        return _unknown_key(path, model, kinds)
    if item["type"] == "missing":
        return "is required"
    if item["type"] in _NO_MAPPING:
        section = _section(path, model, kinds)
        return f"must be a mapping with the keys {_listed(section)}" if section else "must be a mapping"
    message = ", or ".join(dict.fromkeys(_wanted(each["msg"]) for each in items))
    if item["type"] != "value_error":
        message = f"must be {message}"
    given = item.get("input")
    if isinstance(given, str | int | float | bool | None) and item["type"] != "value_error":
        message += f" (it is {'null' if given is None else repr(given)})"
    return message


def _wanted(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    text = re.sub(r", (unable to parse|got a number).*", "", text)
    return re.sub(r"^a valid (?=[aeiou])", "an ", text).replace("a valid ", "a ")


def _unknown_key(path: Sequence[str], model: type[BaseModel], kinds: Mapping[str, type[BaseModel]]) -> str:
    section = _section(path[:-1], model, kinds)
    if section is None:
        return "unknown key"
    near = get_close_matches(path[-1], _keys(section), n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"unknown key; {meant}allowed are {_listed(section)}"


def _listed(section: type[BaseModel]) -> str:
    return ", ".join(_keys(section))


def _keys(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by the keys that a spec has for them."""
    return {str(field.validation_alias or name): field for name, field in section.model_fields.items()}


def _section(
    path: Sequence[str], model: type[BaseModel], kinds: Mapping[str, type[BaseModel]]
) -> type[BaseModel] | None:
    """The part of the spec that a path leads to."""
    section: type[BaseModel] | None = model
    for place, part in enumerate(path):
        if place == 1 and part in kinds:
            section = kinds[part]
            continue
        field = _keys(section).get(part) if section else None
        if field is None:
            return None
        types = (field.annotation, *get_args(field.annotation))
        section = next((each for each in types if isinstance(each, type) and issubclass(each, BaseModel)), None)
    return section
