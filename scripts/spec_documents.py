"""Writes what the documents say of a spec's keys, from the spec's own models: their tables and the JSON Schema.

usage: PYTHONPATH=. python scripts/spec_documents.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from tuner.spec.data import DATA_KINDS, SplitSettings
from tuner.spec.keys import SpecKey, keys_of
from tuner.spec.schema import schema_text
from tuner.spec.search_spec import SearchSpec
from tuner.spec.yaml_text import in_one_line

_DOCS = Path(__file__).parent.parent / "docs"
WITH_TABLES = tuple(_DOCS / name for name in ("guide.md", "ray.md", "slurm.md"))
SCHEMA = _DOCS / "spec.schema.json"
# A table stands between these. The word is a kind of data, the dotted key of a section, or that of the whole spec.
_TABLE = re.compile(r"(<!-- keys: (\S+) -->\n).*?(<!-- end of keys -->)", re.DOTALL)
_WHOLE = "spec"
# Where the guide says more.
_MORE = {
    "data.kind": "Data",
    "space": "Search spaces",
    "hyperparameters.entries": "Overriding hyperparameters",
    "objective": "Several objectives, constraints",
    "constraints": "Several objectives, constraints",
    "sampler": "Samplers",
    "pruner": "Pruners",
    "warm_start": "Choosing what is tried",
    "training.callbacks": "Callbacks",
    "training.executions_per_trial": "Several executions",
    "resources.workers": "Engines",
    "priority": "A pool for many studies",
}


def with_tables(document: str) -> str:
    """A document with its tables of keys as they should be."""
    return _TABLE.sub(lambda found: f"{found[1]}{_table(found[2])}{found[3]}", document)


def _table(of: str) -> str:
    if of in DATA_KINDS:
        rows = _data_keys(DATA_KINDS[of])
    else:
        rows = (key for key in _spec_keys(SearchSpec) if of == _WHOLE or key.path.startswith(f"{of}."))
    lines = ("| key | default | meaning |", "| --- | --- | --- |", *map(_row, rows))
    return "".join(f"{line}\n" for line in lines)


def _spec_keys(section: type[BaseModel], path: str = "") -> Iterator[SpecKey]:
    """Every key of a spec; of data, those that all kinds have."""
    for key in keys_of(section, path):
        if path == "data" and key.name != "kind" and key.name not in SplitSettings.model_fields:
            continue
        yield key
        if key.section is not None and not key.is_choice:
            yield from _spec_keys(key.section, key.path_inside)


def _data_keys(kind: type[BaseModel]) -> Iterator[SpecKey]:
    """The keys that a kind of data has beside those of all kinds."""
    return (key for key in keys_of(kind, "data") if key.name != "kind" and key.name not in SplitSettings.model_fields)


def _row(key: SpecKey) -> str:
    meaning = key.meaning
    if key.path in _MORE:
        title = _MORE[key.path]
        meaning += f" See [{title}](#{re.sub(r'[^a-z ]', '', title.lower()).replace(' ', '-')})."
    cells = (f"`{key.path}`", _default(key), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(key: SpecKey) -> str:
    if key.info.is_required():
        return "required"
    if key.holds_keys:
        return ""
    return f"`{in_one_line(key.default)}`"


if __name__ == "__main__":
    for path in WITH_TABLES:
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
