"""The spec's file: every problem with its key's path, --set, and the template that `tuner init` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tuner.errors import SpecError
from tuner.spec.data import DATA_KINDS
from tuner.spec.keys import keys_of, section_description
from tuner.spec.reading import load_spec, validate_spec
from tuner.spec.schema import spec_schema
from tuner.spec.search_spec import SearchSpec
from tuner.spec.templates import TEMPLATES, template

DATA = {"kind": "image_directory", "path": "images/"}
GOOD = {"study": "a", "data": DATA, "space": "image", "objective": "val_accuracy"}


def problems(changed, *, drop=()):
    raw = {key: value for key, value in (GOOD | changed).items() if key not in drop}
    with pytest.raises(SpecError) as refused:
        validate_spec(raw, source="spec.yaml", base=Path("/"))
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"resources": {"slots": 0}}, ["resources.slots: must be greater than 0, or 'auto' (it is 0)"]),
        ({"resources": {"slots": "many"}}, ["resources.slots: must be an integer, or 'auto' (it is 'many')"]),
        (
            {"resources": {"gpus_per_trial": -1, "threads_per_slot": 0}},
            [
                "resources.gpus_per_trial: must be greater than or equal to 0, or 'auto' (it is -1)",
                "resources.threads_per_slot: must be greater than 0, or 'auto' (it is 0)",
            ],
        ),
        (
            {"training": {"early_stopping": {"patients": 3}}},
            ["training.early_stopping.patients: unknown key; did you mean patience? the allowed keys are patience"],
        ),
        ({"trials": "many"}, ["trials: must be an integer (it is 'many')"]),
        ({"trials": 0}, ["trials: must be greater than 0 (it is 0)"]),
        (
            {"timeout": "soon"},
            ["timeout: must be a number of seconds or a number with a unit, such as 45s, 90m, 2h or 1d"],
        ),
        ({"data": DATA | {"color_mode": "bgr"}}, ["data.color_mode: must be 'rgb' or 'grayscale' (it is 'bgr')"]),
        ({"data": DATA | {"validation_split": 0}}, ["data.validation_split: must be above 0"]),
        (
            {"data": {"path": "images/"}},
            ["data: kind must be one of image_directory, text_directory, csv, npz, python"],
        ),
        (
            {"data": {"kind": "parquet"}},
            ["data: kind must be one of image_directory, text_directory, csv, npz, python"],
        ),
        (
            {"data": {"kind": "csv", "path": "a", "labels": "b"}},
            [
                "data.labels: unknown key; the allowed keys are ",
                "data.label_column: the search space image needs labels",
            ],
        ),
        ({"data": "images/"}, ["data: must be a mapping"]),
        (
            {"data": DATA | {"train": "x"}},
            ["data.path: give either path, whose examples are then divided into splits, or train"],
        ),
        (
            {"space": "sound"},
            [
                "space.name: there is no space 'sound'; choose one of image, text, structured, or name a class of your "
                "own as package.module:Hyp"
            ],
        ),
        ({"objective": "val_fanciness"}, ["objective: the direction of 'val_fanciness' is not known; write {metric:"]),
        ({"objective": {"metric": "x", "direction": "up"}}, ["objective.direction: must be 'maximize' or 'minimize'"]),
        ({"sampler": "genetic"}, ["sampler.name: there is no 'genetic'; choose one of tpe, random"]),
        ({"pruner": 3}, ["pruner: must be a mapping"]),
        ({"study": "a/b"}, ["study: must consist of at most 100 letters, digits"]),
        (
            {"training": {"run_eagerly": True, "jit_compile": True}},
            ["training.jit_compile: run_eagerly and jit_compile cannot both be true"],
        ),
        (
            {"training": {"callbacks": ["mine.py"]}},
            ["training.callbacks.0: must be written as package.module:function or path/to/file.py"],
        ),
        ({"training": None}, ["training: must be a mapping with the keys epochs, batch_size"]),
        ({"artifacts": "gs://bucket"}, ["artifacts: must be a folder or s3://BUCKET/PREFIX"]),
        ({"trails": 3}, ["trails: unknown key; did you mean trials? the allowed keys are study, data, space"]),
    ],
)
def test_what_is_wrong_is_said_with_its_key_and_what_is_allowed(changed, said):
    found = problems(changed)
    assert len(found) == len(said)
    assert all(text.startswith(expected) for text, expected in zip(found, said, strict=True)), found


def test_missing_keys_are_named():
    assert problems({}, drop=("study", "data")) == ["study: is required", "data: is required"]


def test_the_command_line_prints_each_problem_on_a_line_of_its_own(tuner, place):
    spec = place.write_spec(GOOD | {"trials": 0, "resources": {"slots": 0}, "nonsense": 1})
    ran = tuner("launch", spec)
    assert (ran.code, ran.out) == (1, "")
    assert [line.split(": ")[2] for line in ran.complaints] == ["trials", "resources.slots", "nonsense"]
    assert all(line.startswith("error: spec.yaml: ") for line in ran.complaints)
    assert [file.name for file in place.folder.iterdir()] == ["spec.yaml"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the file cannot be read: No such file or directory"),
        (b"study: [1, 2", "the text is not YAML: "),
        (
            b"- a\n- b\n",
            "a search spec must be a mapping of keys to values, like the one that `tuner init image` writes",
        ),
        (b"", "a search spec must be a mapping of keys to values"),
        (b"study: \xff\xfe", "the file is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("command", ["launch", "space"])
def test_a_file_that_is_no_spec(command, content, said, tuner, tmp_path):
    if content is not None:
        (tmp_path / "spec.yaml").write_bytes(content)
    ran = tuner(command, "spec.yaml")
    (line,) = ran.complaints
    assert ran.code == 1
    assert line.startswith(f"error: spec.yaml: {said}")


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("trials=7", lambda spec: spec.trials == 7),
        ("training.epochs=3", lambda spec: spec.training.epochs == 3),
        ("training.early_stopping=null", lambda spec: spec.training.early_stopping is None),
        ("training.early_stopping.patience=1", lambda spec: spec.training.early_stopping.patience == 1),
        ("data.image_size=[8, 16]", lambda spec: spec.data.image_size == (8, 16)),
        ("sampler=random", lambda spec: spec.sampler.name == "random"),
        ("sampler.n_startup_trials=5", lambda spec: spec.sampler.options == {"n_startup_trials": 5}),
        ("objective.direction=minimize", lambda spec: spec.objective.direction == "minimize"),
        ("timeout=90m", lambda spec: spec.timeout == 5400),
        ("space={name: image, pretrained: true}", lambda spec: spec.space.options == {"pretrained": True}),
    ],
)
def test_a_key_is_set_on_the_command_line(override, found, place):
    place.write_spec(GOOD | {"sampler": "tpe"})
    assert found(load_spec(place.folder / "spec.yaml", [override]))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trials", "error: --set: 'trials' does not have the form dotted.key=value"),
        ("=3", "error: --set: '=3' does not have the form dotted.key=value"),
        ("trials=[1", "error: --set: trials: the value is not YAML"),
        ("trials=-1", "error: spec.yaml: trials: must be greater than 0 (it is -1)"),
        ("training.epoch=3", "error: spec.yaml: training.epoch: unknown key; did you mean epochs?"),
    ],
)
def test_what_cannot_be_set(override, said, tuner, place):
    ran = tuner("launch", place.write_spec(GOOD), "--set", override)
    (line,) = ran.complaints
    assert (ran.code, line.startswith(said)) == (1, True), line


def test_relative_paths_are_relative_to_the_specs_file(place, monkeypatch):
    (place.folder / "deep").mkdir()
    place.write_spec(GOOD | {"artifacts": "made/", "space": "mine.py:Mine"}, "deep/spec.yaml")
    monkeypatch.chdir(place.folder)
    spec = load_spec(place.folder / "deep/spec.yaml")
    assert spec.data.path == place.folder / "deep/images"
    assert spec.artifacts == str(place.folder / "deep/made")
    assert spec.space.name == f"{place.folder}/deep/mine.py:Mine"


@pytest.mark.parametrize(("kind", "study"), [("image", "my-images"), ("text", "my-texts"), ("structured", "my-table")])
def test_init_writes_a_spec_that_loads_and_the_schema_it_names(tuner, tmp_path, kind, study):
    ran = tuner("init", kind)
    assert (ran.code, ran.out) == (0, "")
    assert f"{kind}.yaml" in ran.err
    spec = load_spec(tmp_path / f"{kind}.yaml")
    assert (spec.study, spec.space.name) == (study, kind)
    defaults = {name: field.default for name, field in SearchSpec.model_fields.items() if not field.is_required()}
    assert {name: getattr(spec, name) for name in defaults} == defaults
    first = (tmp_path / f"{kind}.yaml").read_text().splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert named, first
    Draft202012Validator(json.loads((tmp_path / named[1]).read_text())).validate(
        yaml.safe_load((tmp_path / f"{kind}.yaml").read_text())
    )


def test_a_schema_that_is_there_is_left(tuner, tmp_path):
    (tmp_path / "spec.schema.json").write_text("mine")
    assert tuner("init", "text").code == 0
    assert (tmp_path / "spec.schema.json").read_text() == "mine"


def test_the_schema_is_printed(tuner):
    ran = tuner("spec", "schema")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == spec_schema()


def test_help_names_what_init_writes(tuner):
    ran = tuner("init", "--help")
    assert all(kind in ran.out for kind in TEMPLATES)


def test_init_never_overwrites(tuner, tmp_path):
    (tmp_path / "image.yaml").write_text("mine")
    again = tuner("init", "image")
    assert again.code == 1
    assert again.complaints == ["error: image.yaml: the file exists already; name another one"]
    assert (tmp_path / "image.yaml").read_text() == "mine"
    assert tuner("init", "image", "other.yaml").code == 0
    assert (tmp_path / "other.yaml").exists()


def test_init_of_an_unknown_kind(tuner, tmp_path):
    ran = tuner("init", "sound")
    assert (ran.code, ran.complaints) == (
        1,
        ["error: tuner init: there is no template 'sound'; choose one of image, text, structured"],
    )
    assert not list(tmp_path.iterdir())


def _keys(section, data, path=""):
    """The keys of a spec with such data that are written one by one."""
    for key in keys_of(section, path):
        yield key
        if key.holds_keys:
            yield from _keys(data if key.path == "data" else key.section, data, key.path)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_template_has_every_key_with_its_description(kind):
    text = template(kind)
    given = yaml.safe_load(text)
    comments = {"": ""}
    path = []
    for line in text.splitlines()[text.splitlines().index("") :]:
        assert len(line) <= 120
        if found := re.match(r"( *)(\w+):", line):
            path = [*path[: len(found[1]) // 2], found[2]]
        comment = line.partition(" # ")[2]
        comments[".".join(path)] = f"{comments.get('.'.join(path), '')} {comment}".strip()
    written = {name: comment for name, comment in comments.items() if name}
    data = DATA_KINDS[given["data"]["kind"]]
    keys = {key.path: key for key in _keys(SearchSpec, data)}
    assert list(written) == list(keys)
    for name, key in keys.items():
        said = section_description(data) if name == "data" else key.meaning
        assert written[name] == said.replace("`", ""), name
