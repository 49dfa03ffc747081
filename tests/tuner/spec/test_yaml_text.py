"""How the YAML of specs is read and written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tuner.errors import SpecError
from tuner.spec.yaml_text import as_yaml, in_one_line, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e6", 1e6),
        ("1.5E3", 1500.0),
        ("-.5e+1", -5.0),
        ("0.001", 0.001),
        ("1_000", 1000),
        # As YAML 1.1 has it.
        ("yes", True),
        ("off", False),
        ("010", 8),
        # Names that a spec may well have.
        ("y", "y"),
        ("n", "n"),
        ("e3", "e3"),
        ("1e", "1e"),
        ("1e3x", "1e3x"),
        ("04:00:00", "04:00:00"),
        ("'1e-3'", "1e-3"),
    ],
)
def test_what_values_are(text: str, value: Any) -> None:
    (found,) = parse_yaml(f"key: {text}", "spec.yaml").values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "the key 'a' is given twice"),
        ("t: {e: 1, e: 2}", "the key 'e' is given twice"),
        ("1: a\n0x1: b", "the key 1 is given twice"),
        ("~: a\nnull: b", "the key None is given twice"),
        ("a: &x {p: 1}\nb: {<<: *x, <<: *x}", "the key '<<' is given twice"),
        ("? [a, b]\n: 1", "found unhashable key"),
        ("? {a: 1}\n: 1", "found unhashable key"),
        ("a: 2024-13-45", "month must be in 1..12"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_what_is_refused_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_yaml(text, "spec.yaml")
    (problem,) = refused.value.problems
    assert problem.message.startswith("the text is not YAML: ") and said in problem.message
    assert "month" in said or "line " in problem.message


def test_a_merge_may_be_overridden() -> None:
    assert parse_yaml("a: &x {p: 1, q: 2}\nb: {<<: *x, p: 3}", "s")["b"] == {"p": 3, "q": 2}


@pytest.mark.parametrize(
    "value", ["1e3", "yes", "null", "a: b", "#", "", "\t", "é", "<= 1", ">= 0.9", "=", ["1e-3", 1e-3], {"a": [1, None]}]
)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert parse_yaml(in_one_line({"key": value}), "s") == {"key": value}
    assert parse_yaml(as_yaml({"key": value}), "s") == {"key": value}
    assert "\n" not in in_one_line(value)


@pytest.mark.parametrize("write", [in_one_line, as_yaml])
def test_every_comparison_is_written_in_quotes(write: Callable[[Any], str]) -> None:
    # Of these, YAML alone asks for quotes only with >.
    limits = {"a": "<= 1e6", "b": ">= 0.9", "c": "< 1", "d": "= 1"}
    assert re.findall(r"\w: ([^{},\n]+)", write({"constraints": limits})) == [f'"{each}"' for each in limits.values()]
