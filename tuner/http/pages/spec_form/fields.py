"""The fields of a spec's form, from the spec's own models: keys, choices and defaults are written once."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuner.http.pages.spec_form.help import help_of
from tuner.spec.choices import PRUNERS, SAMPLERS, WarmStart
from tuner.spec.data import DATA_KINDS, SplitSettings
from tuner.spec.policy import NOT_OFFERED
from tuner.spec.search_spec import SearchSpec

KINDS = tuple(kind for kind in DATA_KINDS if kind not in NOT_OFFERED)
KIND = "data.kind"
_TEMPLATES = {"image_directory": "image", "text_directory": "text"}
# The operator's to decide, asked for at the end, or with a place of its own.
_LEFT_OUT = NOT_OFFERED | {"resources.workers", KIND}
# What is asked for at once; the rest is behind a fold.
_USUAL = frozenset(
    (
        *("study", "space", "objective", "trials", "timeout", "sampler", "pruner", "constraints"),
        *("data.path", "data.image_size", "data.color_mode", "data.label_column", "data.text_column", "data.task"),
        *("data.validation_split", "data.test_split", "training.epochs", "training.batch_size"),
        *("training.early_stopping", "training.early_stopping.patience"),
    )
)
_NAMED = {"sampler": SAMPLERS, "pruner": PRUNERS}


class Reading(StrEnum):
    """What of a field's text becomes the key's value."""

    TEXT = "as it is"
    YAML = "as YAML"
    NAMES = "names with commas between them, or YAML that begins with a bracket"
    SIZES = "numbers, such as 32 x 32"
    LIMITS = "a name, a comparison and a number in each line"


@dataclass(frozen=True)
class SpecField:
    """One key of a spec.

    Attributes:
        key: with dots.
        choices: of value and label; empty for text.
        default: what counts if nothing is typed, as a spec has it; empty if something must be.
        is_long: may have several lines.
        is_path: of data.
        usual: most people set it.
    """

    key: str
    reading: Reading
    help: str
    choices: tuple[tuple[str, str], ...] = ()
    default: str = ""
    required: bool = False
    is_long: bool = False
    is_path: bool = False
    usual: bool = False

    @property
    def label(self) -> str:
        parts = self.key.split(".")
        own = parts[1:] if parts[0] in ("data", "training", "resources") else parts
        return re.sub(r"\b[cg]pus?\b", _upper, " ".join(own).replace("_", " ").capitalize(), flags=re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """Fields that belong together."""

    title: str
    fields: tuple[SpecField, ...]

    @property
    def usual(self) -> tuple[SpecField, ...]:
        return tuple(each for each in self.fields if each.usual)

    @property
    def further(self) -> tuple[SpecField, ...]:
        return tuple(each for each in self.fields if not each.usual)


@cache
def data_fields(kind: str) -> tuple[SpecField, ...]:
    """The fields of data of a kind."""
    found = list(_fields(DATA_KINDS[kind], "data.", _TEMPLATES.get(kind, "structured")))
    # Where the data is comes before how it is divided.
    return tuple(sorted(found, key=lambda each: each.key.removeprefix("data.") in SplitSettings.model_fields))


@cache
def sections(spaces: tuple[str, ...]) -> tuple[Section, ...]:
    """All but the data.

    Args:
        spaces: that may be named.
    """
    top = {each.key: each for each in _fields(SearchSpec, "", "structured", spaces)}
    first = ("study", "space")
    parts = {"Training": "training.", "Resources of a worker": "resources."}
    of_parts = {title: tuple(f for f in top.values() if f.key.startswith(start)) for title, start in parts.items()}
    rest = [each for each in top.values() if each.key not in first and not each.key.startswith(tuple(parts.values()))]
    return (
        Section("Study", tuple(top[key] for key in first)),
        Section("Search", tuple(rest)),
        *(Section(title, found) for title, found in of_parts.items()),
    )


def _fields(model: type[BaseModel], prefix: str, template: str, spaces: Sequence[str] = ()) -> Iterator[SpecField]:
    for name, info in model.model_fields.items():
        key = f"{prefix}{info.validation_alias or name}"
        if key == "data" or key in _LEFT_OUT:
            continue
        section = _section_in(info.annotation)
        optional = type(None) in get_args(info.annotation)
        if section is None or section is WarmStart:
            yield _field(key, info, template)
        elif key in _NAMED or key == "space":
            names = tuple(spaces) if key == "space" else _NAMED[key]
            default = "" if info.is_required() else info.default.name
            yield _made(key, info, template, Reading.TEXT, tuple((each, each) for each in names), default)
        elif key == "objective":
            yield _made(key, info, template, Reading.NAMES)
        else:
            if optional:
                yield _made(key, info, template, Reading.YAML, (("", "usual"), ("null", "off")))
            yield from _fields(section, f"{key}.", template)


def _field(key: str, info: FieldInfo, template: str) -> SpecField:
    kinds = _kinds(info.annotation)
    literals = tuple(_as_text(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind))
    origins = {get_origin(kind) or kind for kind in kinds}
    default = "" if info.is_required() else _as_text(info.default)
    if bool in origins:
        literals += ("true", "false")
    elif origins - {Literal}:
        literals = ()
    if literals:
        return _made(key, info, template, Reading.YAML, tuple((each, each) for each in literals), default)
    if key == "constraints":
        return _made(key, info, template, Reading.LIMITS, is_long=True)
    if dict in origins:
        return _made(key, info, template, Reading.YAML, default=default, is_long=True)
    if tuple in origins:
        numbers = any(int in _kinds(each) for kind in kinds for each in get_args(kind))
        shown = " x ".join(map(str, info.default)) if numbers else ", ".join(info.default)
        return _made(key, info, template, Reading.SIZES if numbers else Reading.NAMES, default=shown)
    if origins <= {str, WarmStart}:
        return _made(key, info, template, Reading.TEXT, default="" if info.default is None else default)
    if Path in origins:
        return _made(key, info, template, Reading.TEXT, is_path=True)
    return _made(key, info, template, Reading.YAML, default="" if info.default is None else default)


def _made(
    key: str,
    info: FieldInfo,
    template: str,
    reading: Reading,
    choices: tuple[tuple[str, str], ...] = (),
    default: str = "",
    *,
    is_long: bool = False,
    is_path: bool = False,
) -> SpecField:
    return SpecField(
        key,
        reading,
        help_of(template).get(key, ""),
        choices,
        default,
        info.is_required(),
        is_long,
        is_path,
        key in _USUAL,
    )


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The members of a union without None, and without what they are annotated with."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(kind for each in get_args(annotation) if each is not type(None) for kind in _kinds(each))
    return (annotation,)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a key's mapping, or of each of its items."""
    for kind in (each for one in _kinds(annotation) for each in (one, *get_args(one))):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _upper(found: re.Match[str]) -> str:
    return f"{found[0][:3].upper()}{found[0][3:]}"


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
