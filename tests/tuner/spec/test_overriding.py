"""The sections in which a spec has something otherwise than its search space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.errors import SpecError
from tuner.spec.changes import differences
from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import SearchSpec
from tuner.spec.yaml_text import parse_yaml

GOOD = {"study": "s", "data": {"kind": "npz", "path": "."}, "space": "a:B", "objective": "val_loss"}


def spec_of(text: str) -> SearchSpec:
    return validate_spec(GOOD | parse_yaml(text, "spec"), source="spec", base=Path("/"))


def test_a_value_alone_stands_for_the_mapping_and_what_was_stored_is_read_again():
    spec = spec_of(
        "hyperparameters: {entries: {rate: 1e-3, units: {values: [1, 2]}, opt/x: {}, norm: true, act: relu}}"
    )
    written = spec.stored()["hyperparameters"]
    entries = {"rate": {"value": 1e-3}, "units": {"values": [1, 2]}, "opt/x": {}, "norm": {"value": True}}
    assert written["entries"] == entries | {"act": {"value": "relu"}}
    assert SearchSpec.model_validate(spec.stored()).hyperparameters == spec.hyperparameters


def test_neither_may_change_later():
    old, new = spec_of("{}"), spec_of("{hyperparameters: {entries: {x: 1}}, training: {loss: mse}}")
    assert [key for key, *_ in differences(old.stored(), new.stored())] == [
        "hyperparameters.entries.x.value",
        "training.loss",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "hyperparameters: {entries: {u: {mim: 3}}}",
            "hyperparameters.entries.u.mim: unknown key; the allowed keys are",
        ),
        ("hyperparameters: {entries: {u: [3]}}", "hyperparameters.entries.u: must be a mapping with the keys value, v"),
        ("hyperparameters: {entries: 3}", "hyperparameters.entries: must be a mapping"),
        ("hyperparameters: {entries: {u: {value: 1, step: 2}}}", "hyperparameters.entries.u.value: a fixed value"),
        ("hyperparameters: {entries: {u: {values: [1], step: 2}}}", "entries.u.values: give either the values or a"),
        ("hyperparameters: {entries: {u: {values: [1], default: 2}}}", "u.default: must be one of the values"),
        ("hyperparameters: {entries: {u: {min_value: 3, max_value: 2}}}", "u.min_value: must not be greater than max"),
        ("hyperparameters: {tune_new_entries: false}", "hyperparameters.tune_new_entries: without entries"),
        ("hyperparameters: {allow_new_entries: false}", "hyperparameters.allow_new_entries: without entries"),
        ("training: {optimizer: {adam: 1}}", "training.optimizer: must be a name, or a mapping with class_name"),
        ("training: {loss: {class_name: __lambda__, config: {}}}", "training.loss: class_name must be the name of a"),
        (
            "training: {metrics: [{class_name: X, config: {fn: {class_name: Popen, module: subprocess}}}]}",
            "training.metrics: the module 'subprocess' of Popen is not Keras's; register the class with",
        ),
        ("{training: {loss: mse}, space: image}", "training.loss: the search space image chooses optimizer, loss and"),
    ],
)
def test_what_cannot_be_is_refused_at_its_key(text: str, said: str):
    with pytest.raises(SpecError) as refused:
        spec_of(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("metrics", ["accuracy", {"class_name": "AUC"}])
def test_one_metric_may_stand_without_its_list(metrics: Any):
    assert spec_of("{}").training.model_validate({"metrics": metrics}).metrics == [metrics]
