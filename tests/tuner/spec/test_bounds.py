"""What a spec may be at most, and that valid ones of that size are read in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.errors import SpecError
from tuner.spec.bounds import MOST_BYTES
from tuner.spec.problems import MOST_PROBLEMS
from tuner.spec.reading import examine_spec, load_spec
from tuner.spec.yaml_text import parse_yaml

BASE: dict[str, Any] = {"study": "s", "space": "structured", "objective": "val_loss"}
TABLE: dict[str, Any] = {"kind": "csv", "path": "t.csv", "label_column": "y"}


def test_aliases_count_as_what_they_stand_for_and_may_be_used() -> None:
    assert parse_yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, m: 2}", "test") == {
        "a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "m": 2},
    }  # fmt: skip
    item = "&x [" + "1, " * 1000 + "]"
    assert len(parse_yaml(f"[{item}" + ", *x" * 40 + "]", "test")) == 41
    with pytest.raises(SpecError, match="at most 50,000 values"):
        parse_yaml(f"[{item}" + ", *x" * 50 + "]", "test")


def test_a_file_without_an_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("#" * (MOST_BYTES + 1))
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        load_spec(tmp_path / "spec.yaml")
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        load_spec(Path("/dev/zero"))
    # Where no more is read, a character may be cut.
    (tmp_path / "spec.yaml").write_text("#" * MOST_BYTES + "é", encoding="utf-8")
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        load_spec(tmp_path / "spec.yaml")


@pytest.mark.parametrize("key", ["ignore", "columns"])
def test_twenty_thousand_columns_are_no_work(key: str) -> None:
    # It took a minute when each was counted among all.
    names = [f"c{index}" for index in range(20_000)]
    named: Any = names if key == "ignore" else dict.fromkeys(names, "number")
    spec, problems = examine_spec(BASE | {"data": TABLE | {key: named}}, base=Path("/"))
    assert spec is not None and problems == []


def test_of_very_many_mistakes_the_first_are_told() -> None:
    _, problems = examine_spec(BASE | {"data": TABLE} | {f"k{index}": 1 for index in range(20_000)}, base=Path("/"))
    assert len(problems) == MOST_PROBLEMS
    assert problems[0].key == "k0"


def test_half_of_a_surrogate_pair_is_a_problem_at_its_key() -> None:
    raw = BASE | {"study": "a\ud800", "data": TABLE | {"ignore": ["b", "c\udfff"]}}
    spec, problems = examine_spec(raw, base=Path("/"))
    assert spec is None
    assert {each.key for each in problems} == {"study", "data.ignore"}
    with pytest.raises(SpecError, match="character 4 is half of a surrogate pair"):
        parse_yaml("a: \ud800", "test")
