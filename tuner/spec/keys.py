"""The keys of a spec in the order in which people read them, each with what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuner.spec.choices import WarmStart
from tuner.spec.data import SplitSettings
from tuner.spec.field_types import fields_by_key, has_names, section_in
from tuner.spec.hyperparameters import Entry
from tuner.spec.objective import Objective
from tuner.spec.yaml_text import in_one_line

# They have a short form, which is how they are usually written.
_WRITTEN_SHORT = (Entry, Objective, WarmStart)


@dataclass(frozen=True)
class SpecKey:
    """One key.

    Attributes:
        path: the dotted key.
        info: its field, which has its description, its examples and its default.
        section: the model of its mapping; None if it is a value.
    """

    path: str
    info: FieldInfo
    section: type[BaseModel] | None

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def path_inside(self) -> str:
        """The dotted key of what its own keys are in, with a word for a name of the user's."""
        return f"{self.path}.NAME" if has_names(self.info.annotation) else self.path

    @property
    def is_choice(self) -> bool:
        """Whether it is a name that may have options, such as a sampler."""
        return self.section is not None and self.section.model_config.get("extra") == "allow"

    @property
    def holds_keys(self) -> bool:
        """Whether its keys are usually written one by one; it is not a value, a name or something with a short form."""
        return self.section is not None and not self.is_choice and self.section not in _WRITTEN_SHORT

    @property
    def default(self) -> Any:
        """As a spec writes it; None if there is none, or if it is null."""
        if self.info.is_required():
            return None
        return self.info.default.name if self.is_choice else written(self.info.default)

    @property
    def description(self) -> str:
        return self.info.description or ""

    @property
    def examples(self) -> tuple[Any, ...]:
        return tuple(self.info.examples or ())

    @property
    def meaning(self) -> str:
        """Its description and its examples, in Markdown."""
        shown = " or ".join(f"`{in_one_line(each)}`" for each in self.examples)
        return f"{self.description} For example {shown}." if shown else self.description


def keys_of(section: type[BaseModel], path: str = "") -> Iterator[SpecKey]:
    """The keys of a section, without those of its sections.

    Args:
        path: the dotted key of the section; empty for the spec.
    """
    fields = fields_by_key(section)
    # Of data, its kind comes first, and last what all kinds have: how it is divided.
    last = SplitSettings.model_fields if issubclass(section, SplitSettings) else ()
    names = sorted(fields, key=lambda name: (name != "kind", name in last))
    for name in names:
        yield SpecKey(f"{path}.{name}" if path else name, fields[name], section_in(fields[name].annotation))


def written(value: Any) -> Any:
    """A value of a spec as JSON and YAML have it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def section_description(section: type[BaseModel]) -> str:
    """What is said of a section as a whole."""
    return " ".join((getdoc(section) or "").split())
