"""What was typed into the form of a spec, as the mapping that a spec's YAML would be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tuner.errors import Problem, SpecError
from tuner.http.pages.spec_form.fields import KIND, KINDS, Reading, SpecField, data_fields, sections
from tuner.spec.yaml_text import parse_yaml

# The fields beside those of keys: YAML that is laid over them, and a whole spec in place of all of them.
OVER, WHOLE = "yaml", "whole"
_LIMIT = re.compile(r"(?P<name>[^\s<>=:]+)\s*:?\s*[\"']?(?P<comparison>[<>].*?)[\"']?")


def kind_of(typed: Mapping[str, str]) -> str:
    """The kind of data that is chosen."""
    kind = typed.get(KIND, "")
    return kind if kind in KINDS else KINDS[0]


def fields_of(kind: str, spaces: tuple[str, ...]) -> dict[str, SpecField]:
    """Every field of the form by its key."""
    every = [each for section in sections(spaces) for each in section.fields]
    return {each.key: each for each in (*data_fields(kind), *every)}


def raw_spec(typed: Mapping[str, str], spaces: tuple[str, ...]) -> tuple[dict[str, Any], list[Problem]]:
    """The spec that was typed, not checked yet, and which texts are not what their fields take.

    What was left empty has its default.

    Raises:
        SpecError: the YAML cannot be read, so that nothing can be said of the spec.
    """
    if WHOLE in typed:
        return _mapping(typed[WHOLE], WHOLE), []
    kind = kind_of(typed)
    raw: dict[str, Any] = {"data": {"kind": kind}}
    problems: list[Problem] = []
    for key, field in fields_of(kind, spaces).items():
        text = typed.get(key, "").strip()
        if not text:
            continue
        try:
            _put(raw, key.split("."), _read(field, text))
        except SpecError as error:
            problems += error.problems
    try:
        return laid_over(raw, _mapping(typed.get(OVER, ""), OVER)), problems
    except SpecError as error:
        raise SpecError("form", [*problems, *error.problems]) from None


def laid_over(below: Any, above: Any) -> Any:
    """Mappings key by key; a name below a mapping is that mapping's name, as in a spec's short forms."""
    if not isinstance(above, Mapping):
        return above
    if isinstance(below, str):
        below = {"name": below}
    if not isinstance(below, Mapping):
        return dict(above)
    both = {key: laid_over(below[key], above[key]) if key in below else above[key] for key in above}
    return {**below, **both}


def _put(raw: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    node = raw
    for parent in parents:
        node = node.setdefault(parent, {})
        if node is None:
            # The whole section is off.
            return
    node[last] = value


def _read(field: SpecField, text: str) -> Any:
    if field.reading is Reading.YAML:
        return parse_yaml(text, "form", field.key)
    if field.reading is Reading.NAMES and text[0] in "[{":
        return parse_yaml(text, "form", field.key)
    if field.reading is Reading.NAMES:
        names = [each.strip() for each in text.split(",") if each.strip()]
        return names[0] if field.key == "objective" and len(names) == 1 else names
    if field.reading is Reading.SIZES:
        sizes = re.split(r"\s*[x×,\s]\s*", text.strip("[]"))
        return [int(each) if each.isascii() and each.isdecimal() else each for each in sizes]
    if field.reading is Reading.LIMITS:
        return dict(_limit(field.key, line) for line in text.splitlines() if line.strip())
    return text


def _limit(key: str, line: str) -> tuple[str, str]:
    match = _LIMIT.fullmatch(line.strip())
    if match is None:
        raise SpecError("form", [Problem(key, f"write a name, a comparison and a number, not {line.strip()!r}")])
    return match["name"], match["comparison"]


def _mapping(text: str, key: str) -> dict[str, Any]:
    found = parse_yaml(text, "form", key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise SpecError("form", [Problem(key, "is a mapping of keys, such as `seed: 1`")])
    return dict(found)
