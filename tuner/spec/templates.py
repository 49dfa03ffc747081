"""Specs to begin with, with a comment on every key, made from what the models of a spec say of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tuner.errors import Problem, SpecError
from tuner.spec.data import DATA_KINDS
from tuner.spec.keys import SpecKey, keys_of, section_description
from tuner.spec.schema import schema_text
from tuner.spec.search_spec import SearchSpec
from tuner.spec.yaml_text import in_one_line

SCHEMA_FILE = "spec.schema.json"
# Where comments begin and end.
_COLUMN, _WIDTH = 34, 120


@dataclass(frozen=True)
class _Template:
    """What one kind of template has of its own: what it is for, and the values that are not defaults."""

    about: str
    values: Mapping[str, Any]


_TEMPLATES = {
    "image": _Template(
        "A search for the best image classifier.",
        {
            "study": "my-images",
            "data": {"kind": "image_directory", "path": "images/"},
            "space": "image",
            "objective": "val_accuracy",
        },
    ),
    "text": _Template(
        "A search for the best text classifier.",
        {
            "study": "my-texts",
            "data": {"kind": "csv", "path": "texts.csv", "text_column": "text", "label_column": "label"},
            "space": "text",
            "objective": "val_accuracy",
        },
    ),
    "structured": _Template(
        "A search for the best model of a table.\n"
        "Good objectives are val_loss, for two classes also val_auc, val_pr_auc, val_precision and val_recall, for "
        "more classes val_accuracy, and for numbers val_mae, val_rmse and val_r2.",
        {
            "study": "my-table",
            "data": {"kind": "csv", "path": "table.csv", "label_column": "label"},
            "space": "structured",
            "objective": "val_loss",
        },
    ),
}
TEMPLATES = tuple(_TEMPLATES)
_HOW_TO = (
    "Start it with: tuner launch THIS_FILE",
    "Relative paths are relative to this file. Only the keys study, data, space and objective are required.",
)


def write_template(kind: str, path: Path | None = None) -> Path:
    """Writes a spec with a comment on every key, and never over a file that is there.

    The JSON Schema that its first line names for editors is written beside it, unless there is a file of that name.

    Raises:
        SpecError: there is no such kind, the file exists, or it cannot be written.
    """
    if kind not in _TEMPLATES:
        raise SpecError(
            "tuner init", [Problem("", f"there is no template {kind!r}; choose one of {', '.join(TEMPLATES)}")]
        )
    path = path or Path(f"{kind}.yaml")
    try:
        _write_new(path, template(kind))
    except FileExistsError:
        raise SpecError(str(path), [Problem("", "the file exists already; name another one")]) from None
    except OSError as error:
        raise SpecError(str(path), [Problem("", f"the file cannot be written: {error.strerror}")]) from None
    schema = path.with_name(SCHEMA_FILE)
    try:
        _write_new(schema, schema_text())
    except FileExistsError:
        pass
    except OSError as error:
        raise SpecError(str(schema), [Problem("", f"the file cannot be written: {error.strerror}")]) from None
    return path


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def template(kind: str) -> str:
    """A spec of one of ``TEMPLATES``, with every key, its default or an example in its place, and a comment on it."""
    about, values = _TEMPLATES[kind].about, _TEMPLATES[kind].values
    head = [f"# yaml-language-server: $schema={SCHEMA_FILE}"]
    for line in (*about.splitlines(), *_HOW_TO):
        head += textwrap.wrap(line, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    text = "\n".join([*head, "", *_lines(SearchSpec, values, DATA_KINDS[values["data"]["kind"]])])
    return text.replace("\n\n\n", "\n\n").rstrip() + "\n"


def _lines(
    section: type[BaseModel], values: Mapping[str, Any], data: type[BaseModel], parent: str = ""
) -> Iterator[str]:
    """A section's lines.

    Args:
        values: those that are not defaults.
        data: the section of data.
        parent: the section's dotted key; empty for the whole spec.
    """
    for key in keys_of(section, parent):
        value = values.get(key.name, key.default)
        inside = data if key.path == "data" else key.section
        if not key.holds_keys or inside is None:
            yield from _commented(key, f"{key.name}: {in_one_line(value)}", key.meaning)
            continue
        if not parent:
            yield ""
        # What the examples are depends on their kind.
        meaning = section_description(inside) if key.path == "data" else key.meaning
        yield from _commented(key, f"{key.name}:", meaning)
        yield from _lines(inside, value, data, key.path)
        if not parent:
            yield ""


def _commented(key: SpecKey, text: str, comment: str) -> Iterator[str]:
    """A key with its comment beside it, which goes on below."""
    indent = "  " * key.path.count(".")
    line = f"{indent}{text}".ljust(_COLUMN - 2)
    first, *more = textwrap.wrap(
        comment.replace("`", ""), _WIDTH - _COLUMN - 2, break_long_words=False, break_on_hyphens=False
    )
    if len(line) > _COLUMN - 2:
        yield line
        line = " " * (_COLUMN - 2)
    yield f"{line}  # {first}"
    for each in more:
        yield f"{' ' * _COLUMN}# {each}"
