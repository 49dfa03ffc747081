"""A spec from outside names nothing that the operator did not allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.errors import SpecError
from tuner.spec.policy import SpecPolicy, examine_outside_spec
from tuner.spec.search_spec import SearchSpec

OWN = "team.spaces:Small"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of data with a link in it that leads out, and one that leads back in."""
    folder = tmp_path / "data"
    (folder / "digits").mkdir(parents=True)
    (tmp_path / "data-of-others").mkdir()
    (folder / "out").symlink_to(tmp_path / "data-of-others")
    (tmp_path / "in").symlink_to(folder)
    return folder


@pytest.fixture
def policy(root: Path) -> SpecPolicy:
    return SpecPolicy(frozenset({OWN}), (root,), frozenset({"slurm"}))


def raw(**keys: Any) -> dict[str, Any]:
    data = {"kind": "image_directory", "path": "digits"}
    return {"study": "s", "data": data, "space": "image", "objective": "val_accuracy"} | keys


def images(path: Path | str) -> dict[str, Any]:
    return {"data": {"kind": "image_directory", "path": str(path)}}


def refused(policy: SpecPolicy, **keys: Any) -> list[str]:
    """The keys that are refused."""
    return [problem.key for problem in examine_outside_spec(raw(**keys), policy)[1]]


def taken(policy: SpecPolicy, **keys: Any) -> SearchSpec:
    spec, problems = examine_outside_spec(raw(**keys), policy)
    assert spec is not None and not problems
    return spec


def test_what_is_allowed_is_taken(policy: SpecPolicy, root: Path, tmp_path: Path) -> None:
    spec = taken(policy, storage=None, launch={}, priority=3)
    assert (spec.data.path, spec.priority) == (root / "digits", 3)  # type: ignore[union-attr]
    taken(policy, space={"name": OWN, "size": 3})
    for path in (root, tmp_path / "in/digits", root / "digits/../digits", "../data/digits"):
        taken(policy, **images(path))


@pytest.mark.parametrize("path", ["/etc", "../data-of-others", "out", "digits/../../data-of-others", "~", "a\0b"])
def test_data_stays_in_its_folders(path: str, policy: SpecPolicy) -> None:
    assert refused(policy, **images(path)) == ["data.path"]


@pytest.mark.parametrize("url", ["s3://bucket/x", "https://example.org/x.csv", "file:///etc/passwd"])
def test_data_is_no_url(url: str, policy: SpecPolicy) -> None:
    assert refused(policy, data={"kind": "csv", "path": url, "label_column": "y"}) == ["data.path"]


def test_a_user_who_is_not_there_is_no_home(policy: SpecPolicy) -> None:
    assert refused(policy, **images("~nobody-of-this-name/x")) == ["data.path"]


def test_every_split_is_looked_at(policy: SpecPolicy) -> None:
    data = {"kind": "text_directory", "train": "digits", "validation": "/etc", "test": "out"}
    assert refused(policy, data=data) == ["data.validation", "data.test"]


def test_nothing_is_allowed_unless_it_is_named() -> None:
    assert refused(SpecPolicy(), **images("/")) == ["data.path"]
    with pytest.raises(SpecError, match="it allows: none"):
        SpecPolicy().check_launcher("slurm", 1)
    SpecPolicy(launchers=frozenset({"slurm"})).check_launcher("slurm", 1)
    with pytest.raises(SpecError, match="the service allows at most 3 workers, not"):
        SpecPolicy(launchers=frozenset({"slurm"}), max_workers=3).check_launcher("slurm", 4)


@pytest.mark.parametrize("space", ["os:system", "team.spaces:Large", "/tmp/x.py:Small", {"name": "os:system"}])
def test_code_of_the_callers_choosing_is_refused(space: Any, policy: SpecPolicy) -> None:
    assert refused(policy, space=space) == ["space"]


def test_a_budget_is_as_large_as_the_operator_allows(policy: SpecPolicy) -> None:
    assert taken(policy, trials=10_000).trials == 10_000
    assert refused(policy, trials=10_001) == ["trials"]


def test_every_problem_is_named_at_its_key(policy: SpecPolicy) -> None:
    keys = refused(
        policy,
        space="os:system",
        data={"kind": "python", "source": "/tmp/x.py:load", "args": {}},
        training={"callbacks": ["os:system"]},
        storage="sqlite:////tmp/x.db",
        artifacts="s3://elsewhere/x",
        launch={"slurm": {"setup": ["rm -rf /"]}},
    )
    assert keys == ["space", "data.source", "training.callbacks", "storage", "artifacts", "launch"]


def test_mistakes_of_every_kind_are_said_at_once(policy: SpecPolicy) -> None:
    """Of keys, of sections as a whole, and of what is not allowed; what is wrong stands in nobody's way."""
    data = {"kind": "csv", "path": "/etc/x.csv", "seed": -1, "validation_split": 0.6, "test_split": 0.6}
    training = {"epochs": 0, "run_eagerly": True, "jit_compile": True, "callbacks": ["os:system"]}
    assert refused(policy, data=data, space={"name": "os:system"}, training=training, trials=0, storage="x") == [
        *("data.seed", "trials", "training.epochs", "data.validation_split", "training.jit_compile"),
        *("space", "data.path", "training.callbacks", "storage"),
    ]
    # Nothing follows from what is missing or wrong: not that it must be there, nor what a value in its place would do.
    for keys in [
        {"study": 3},
        {"objective": [{"metric": 3}]},
        {"space": {}},
        {"data": None},
        {"data": {"kind": "npz"}},
    ]:
        wrong = refused(policy, **keys, sampler={"name": 3}, priority=5000)
        assert {key.split(".")[0] for key in wrong} == {*keys, "sampler", "priority"}
    table = {"kind": "csv", "path": "t.csv", "label_column": 3, "task": "regression"}
    assert refused(policy, data=table, space="structured") == ["data.label_column"]
    table |= {"label_column": "y", "validation": 3, "validation_split": 0.0}
    assert refused(policy, data=table) == ["data.validation"]


def test_what_is_not_allowed_is_not_offered(policy: SpecPolicy) -> None:
    _, problems = examine_outside_spec(raw(trails=1, training={"epoch": 1}, data={"kind": "numpy"}), policy)
    said = " ".join(map(str, problems))
    assert (
        "did you mean trials? the allowed keys are study, data" in said
        and "kind must be one of image_directory" in said
    )
    for word in ("storage", "artifacts", "launch", "callbacks", "python"):
        assert word not in said


def test_the_built_in_spaces_need_labels(policy: SpecPolicy) -> None:
    table = {"kind": "csv", "path": "t.csv"}
    assert refused(policy, data=table, space="structured") == ["data.label_column"]
    assert refused(policy, data={"kind": "image_directory", "path": "digits", "labels": "none"}) == ["data.labels"]
    taken(policy, data=table, space=OWN)
