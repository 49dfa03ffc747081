"""The fields of a spec's form, from the spec's own models: keys, choices and defaults are written once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from tuner.spec.choices import PRUNERS, SAMPLERS, WarmStart
from tuner.spec.data import DATA_KINDS
from tuner.spec.field_types import kinds_of
from tuner.spec.keys import SpecKey, keys_of
from tuner.spec.policy import NOT_OFFERED
from tuner.spec.search_spec import SearchSpec
from tuner.spec.yaml_text import in_one_line

KINDS = tuple(kind for kind in DATA_KINDS if kind not in NOT_OFFERED)
KIND = "data.kind"
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


_HOW_TO_TYPE = {
    Reading.NAMES: "Put commas between several.",
    Reading.LIMITS: "Put each on a line of its own.",
}


@dataclass(frozen=True)
class SpecField:
    """One key of a spec.

    Attributes:
        key: with dots.
        help: in Markdown.
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
    return tuple(_fields(DATA_KINDS[kind], "data"))


@cache
def sections(spaces: tuple[str, ...]) -> tuple[Section, ...]:
    """All but the data.

    Args:
        spaces: that may be named.
    """
    top = {each.key: each for each in _fields(SearchSpec, "", spaces)}
    first = ("study", "space")
    parts = {"Training": "training.", "Resources of a worker": "resources."}
    of_parts = {title: tuple(f for f in top.values() if f.key.startswith(start)) for title, start in parts.items()}
    rest = [each for each in top.values() if each.key not in first and not each.key.startswith(tuple(parts.values()))]
    return (
        Section("Study", tuple(top[key] for key in first)),
        Section("Search", tuple(rest)),
        *(Section(title, found) for title, found in of_parts.items()),
    )


def _fields(section: type[BaseModel], path: str, spaces: Sequence[str] = ()) -> Iterator[SpecField]:
    for key in keys_of(section, path):
        if key.path == "data" or key.path in _LEFT_OUT:
            continue
        if key.is_choice:
            names = tuple(spaces) if key.path == "space" else _NAMED[key.path]
            yield _made(key, Reading.TEXT, tuple((each, each) for each in names), key.default or "")
        elif key.path == "objective":
            yield _made(key, Reading.NAMES)
        elif key.section is not None and key.holds_keys:
            if type(None) in get_args(key.info.annotation):
                yield _made(key, Reading.YAML, (("", "usual"), ("null", "off")))
            yield from _fields(key.section, key.path)
        else:
            yield _field(key)


def _field(key: SpecKey) -> SpecField:
    kinds = kinds_of(key.info.annotation)
    literals = tuple(_as_text(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind))
    origins = {get_origin(kind) or kind for kind in kinds}
    default = _as_text(key.default)
    if bool in origins:
        literals += ("true", "false")
    elif origins - {Literal}:
        literals = ()
    if literals:
        return _made(key, Reading.YAML, tuple((each, each) for each in literals), default)
    if key.path == "constraints":
        return _made(key, Reading.LIMITS, is_long=True)
    if dict in origins:
        return _made(key, Reading.YAML, default=default, is_long=True)
    if tuple in origins:
        numbers = any(int in kinds_of(each) for kind in kinds for each in get_args(kind))
        reading = Reading.SIZES if numbers else Reading.NAMES
        return _made(key, reading, default=_as_typed(reading, key.default))
    if origins <= {str, WarmStart}:
        return _made(key, Reading.TEXT, default=default)
    if Path in origins:
        return _made(key, Reading.TEXT, is_path=True)
    return _made(key, Reading.YAML, default=default)


def _made(
    key: SpecKey,
    reading: Reading,
    choices: tuple[tuple[str, str], ...] = (),
    default: str = "",
    *,
    is_long: bool = False,
    is_path: bool = False,
) -> SpecField:
    return SpecField(
        key.path,
        reading,
        _help_of(key, reading),
        choices,
        default,
        key.info.is_required(),
        is_long,
        is_path,
        key.path in _USUAL,
    )


def _help_of(key: SpecKey, reading: Reading) -> str:
    """What the key means, and how it is typed here."""
    if key.is_choice:
        written = f"{key.name}: {in_one_line(key.examples[0])}"
        return f"{key.description} In this form, options go into the YAML below, for example `{written}`."
    shown = " or ".join(f"`{_as_typed(reading, each)}`" for each in key.examples if _can_be_typed(reading, each))
    parts = (key.description, _HOW_TO_TYPE.get(reading, ""), f"For example {shown}." if shown else "")
    return " ".join(part for part in parts if part)


def _can_be_typed(reading: Reading, value: Any) -> bool:
    """Whether a field takes it; a field of text takes neither mappings nor a tab."""
    return reading is not Reading.TEXT or (isinstance(value, str) and value.isprintable())


def _as_typed(reading: Reading, value: Any) -> str:
    """A value as it is typed into a field; of comparisons, the lines as Markdown has them."""
    if reading is Reading.LIMITS:
        return "` and `".join(f"{name} {comparison}" for name, comparison in value.items())
    if reading is Reading.SIZES:
        return " x ".join(map(str, value))
    if reading is Reading.NAMES and isinstance(value, list):
        return ", ".join(value)
    return str(value) if reading is Reading.TEXT else in_one_line(value)


def _upper(found: re.Match[str]) -> str:
    return f"{found[0][:3].upper()}{found[0][3:]}"


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
