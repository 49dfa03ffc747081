"""What is said of a spec's keys, and the schema that is published of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from tuner.errors import SpecError
from tuner.spec.data import DATA_KINDS
from tuner.spec.keys import SpecKey, keys_of, section_description
from tuner.spec.reading import validate_spec
from tuner.spec.schema import schema_text, spec_schema
from tuner.spec.search_spec import SearchSpec
from tuner.spec.templates import TEMPLATES, template
from tuner.spec.yaml_text import parse_yaml

ROOT = Path(__file__).parents[3]
SCHEMA = spec_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
GOOD = {
    "study": "a",
    "data": {"kind": "csv", "path": "t.csv", "label_column": "y"},
    "space": "structured",
    "objective": "val_loss",
}


def _every_key(section: Any, path: str = "") -> Iterator[SpecKey]:
    for key in keys_of(section, path):
        yield key
        for inside in DATA_KINDS.values() if key.path == "data" else (key.section,):
            if inside is not None:
                yield from _every_key(inside, key.path_inside)


EVERY_KEY = list(_every_key(SearchSpec))


def _properties() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The properties of every mapping in the published schema."""
    for title, described in {"": SCHEMA, **SCHEMA["$defs"]}.items():
        mapping = described if "properties" in described else described["anyOf"][1]
        for name, each in mapping["properties"].items():
            yield f"{title}.{name}", each


def refused(raw: dict[str, Any]) -> bool:
    try:
        validate_spec(raw, source="spec", base=Path("/"))
    except SpecError:
        return True
    return False


def test_no_property_is_without_a_description() -> None:
    properties = dict(_properties())
    assert len(properties) >= 118
    assert [name for name, each in properties.items() if not each.get("description")] == []


def test_descriptions_are_whole_sentences() -> None:
    sections = [*DATA_KINDS.values(), SearchSpec, *(key.section for key in EVERY_KEY if key.section is not None)]
    texts = [*(key.description for key in EVERY_KEY), *map(section_description, sections)]
    assert [text for text in texts if not re.fullmatch(r"[A-Z`].*[\w`\])]\.", text)] == []


def test_the_published_schema_is_the_one_of_the_code() -> None:
    assert (ROOT / "docs/spec.schema.json").read_text(encoding="utf-8") == schema_text(), (
        "run PYTHONPATH=. python scripts/spec_documents.py"
    )
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_valid_under_the_schema(path: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_template_is_valid_under_the_schema(kind: str) -> None:
    VALIDATOR.validate(yaml.safe_load(template(kind)))


def _with(path: str, value: Any) -> dict[str, Any]:
    """A good spec with a value at a dotted key."""
    raw = json.loads(json.dumps(GOOD))
    node = raw
    *parents, last = path.split(".")
    for parent in parents:
        node[parent] = node.get(parent) if isinstance(node.get(parent), dict) else {}
        node = node[parent]
    node[last] = value
    return dict(raw)


@pytest.mark.parametrize(
    ("path", "value"),
    [(key.path, value) for key in EVERY_KEY for value in key.examples if not key.path.startswith("data.")],
    ids=str,
)
def test_the_examples_of_keys_are_valid(path: str, value: Any) -> None:
    raw = _with(path, value)
    if path in ("training.optimizer", "training.loss", "training.metrics"):
        raw["space"] = "my_space.py:MySpace"
    if path == "objective.metric":
        raw["objective"]["direction"] = "maximize"
    VALIDATOR.validate(raw)
    assert not refused(raw)


@pytest.mark.parametrize("key", [key for key in EVERY_KEY if key.examples], ids=lambda key: key.path)
def test_every_printed_example_can_be_copied(key: SpecKey) -> None:
    printed = re.findall(r"`([^`]+)`", key.meaning.rpartition(" For example ")[2])
    assert [parse_yaml(f"{key.name}: {text}", "spec.yaml") for text in printed] == [
        {key.name: value} for value in key.examples
    ]


def test_examples_of_places_are_of_the_kind_that_the_data_takes() -> None:
    for kind, data in DATA_KINDS.items():
        for key in keys_of(data, "data"):
            if key.name in ("path", "train", "validation", "test"):
                assert [value.endswith("/") for value in key.examples] == [kind.endswith("_directory")], key.path
                assert ("folder" in key.description) == kind.endswith("_directory"), key.path


@pytest.mark.parametrize("kind", DATA_KINDS)
def test_the_examples_of_keys_of_data_are_valid(kind: str) -> None:
    required = {"npz": {"path": "x.npz"}, "python": {"source": "data.py:load"}}.get(kind, {"path": "x"})
    for key in keys_of(DATA_KINDS[kind], "data"):
        for value in key.examples:
            data = {"kind": kind, **required, key.name: value}
            if key.name in ("train", "validation", "test"):
                data = {"kind": kind, "train": "x", key.name: value}
            if key.name == "label_separator":
                data |= {"label_column": "y"}
            raw = GOOD | {"data": data, "space": "mine.py:Mine"}
            VALIDATOR.validate(raw)
            assert not refused(raw), key.path


@pytest.mark.parametrize(
    "changed",
    [
        {"sampler": "tpe"},
        {"sampler": {"name": "tpe", "n_startup_trials": 5}},
        {"sampler": {"n_startup_trials": 5}},
        {"pruner": "none"},
        {"space": {"name": "structured", "families": ["mlp"]}},
        {"space": "spaces.py:Mine"},
        {"objective": "val_accuracy"},
        {"objective": {"metric": "mine", "direction": "maximize"}},
        {"objective": ["val_accuracy", {"metric": "parameters", "direction": "minimize"}]},
        {"warm_start": "other"},
        {"warm_start": {"study": "other", "trials": 3}},
        {"timeout": "90m"},
        {"timeout": 5400},
        {"timeout": "1.5 h"},
        {"training": {"trial_timeout": "45s", "early_stopping": None, "jit_compile": True}},
        {"constraints": {"parameters": "<= 1e6"}},
        {"resources": {"slots": "auto", "gpus_per_worker": 0.5, "memory_per_worker": "16G"}},
    ],
    ids=str,
)
def test_short_and_long_forms_are_valid(changed: dict[str, Any]) -> None:
    VALIDATOR.validate(GOOD | changed)
    assert not refused(GOOD | changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"trails": 3},
        {"study": "a/b"},
        {"study": None},
        {"trials": 0},
        {"trials": "many"},
        {"seed": 2**31},
        {"sampler": "genetic"},
        {"sampler": {"name": "genetic"}},
        {"pruner": 3},
        {"space": "sound"},
        {"objective": []},
        {"objective": {"metric": "x", "direction": "up"}},
        {"objective": {"metric": "x"}},
        {"warm_start": {"trials": 3}},
        {"warm_start": {"study": "other", "trial": 3}},
        {"timeout": "soon"},
        {"timeout": 0},
        {"constraints": {"parameters": "1e6"}},
        {"training": {"epoch": 3}},
        {"training": {"early_stopping": {"patients": 3}}},
        {"training": {"callbacks": ["mine.py"]}},
        {"resources": {"slots": "many"}},
        {"resources": {"memory_per_worker": "16 GB"}},
        {"data": {"kind": "parquet", "path": "x"}},
        {"data": {"path": "x"}},
        {"data": {"kind": "npz"}},
        {"data": {"kind": "csv", "path": "x", "delimiter": ";;"}},
        {"data": {"kind": "image_directory", "path": "x", "image_size": [8]}},
        {"data": {"kind": "csv", "path": "x", "split_values": {"dev": "a"}}},
    ],
    ids=str,
)
def test_what_a_spec_must_not_have_is_invalid(changed: dict[str, Any]) -> None:
    found = best_match(VALIDATOR.iter_errors(GOOD | changed))
    assert found is not None and refused(GOOD | changed)


def test_what_must_be_there_is_required() -> None:
    for key in GOOD:
        raw = {name: value for name, value in GOOD.items() if name != key}
        assert not VALIDATOR.is_valid(raw) and refused(raw)
