"""Objectives, constraints and warm starts as a spec writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.errors import SpecError
from tuner.spec.changes import differences
from tuner.spec.objective import Objective
from tuner.spec.reading import load_spec, read_values, validate_spec
from tuner.spec.search_spec import SearchSpec

RAW = {"study": "s", "data": {"kind": "image_directory", "path": "."}, "space": "image", "objective": "val_accuracy"}
ACCURACY = Objective(metric="val_accuracy", direction="maximize")
PARAMETERS = Objective(metric="parameters", direction="minimize")
SEVERAL = ["val_accuracy", {"metric": "parameters", "direction": "minimize"}]


def spec(**keys):
    return validate_spec(RAW | keys, source="test", base=Path("/"))


def refused(**keys):
    with pytest.raises(SpecError) as error:
        spec(**keys)
    return [str(problem) for problem in error.value.problems]


def test_one_objective_is_what_it_was():
    one = spec()
    assert (one.objective, one.objectives, one.wanted) == (ACCURACY, (ACCURACY,), ())
    assert one.stored()["objective"] == {"metric": "val_accuracy", "direction": "maximize"}
    assert spec(objective=["val_accuracy"]) == one


def test_the_first_of_several_leads():
    several = spec(objective=SEVERAL, constraints={"val_loss": "<.5", "parameters": "<= 1e6"})
    assert several.objective == ACCURACY
    assert several.objectives == (ACCURACY, PARAMETERS)
    assert several.wanted == ("val_accuracy", "parameters", "val_loss")
    assert [str(limit) for limit in several.limits] == ["val_loss < 0.5", "parameters <= 1000000"]
    assert spec(objective=["val_accuracy", "parameters"]).objectives == several.objectives


def test_a_stored_spec_is_read_as_it_was():
    several = spec(objective=SEVERAL, constraints={"val_loss": "< 0.5"}, warm_start="other")
    assert validate_spec(several.stored(), source="record", base=Path("/")) == several
    assert SearchSpec.model_validate_json(several.model_dump_json()) == several
    same = spec(objective=["val_accuracy", "parameters"], constraints={"val_loss": "<5e-1"}, warm_start="other")
    assert differences(several.stored(), same.stored()) == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"objective": []}, "objective: name at least one metric, such as val_accuracy"),
        ({"objective": ["val_loss", "val_loss"]}, "objective: the metric val_loss is listed twice"),
        (
            {"objective": "latency_ms"},
            "objective: latency_ms is measured only after training, but the first objective decides",
        ),
        ({"objective": ["val_loss", "fanciness"]}, "objective: the direction of 'fanciness' is not known"),
        ({"objective": ["val_loss", {"metric": "x"}]}, "objective.1.direction: is required"),
        ({"objective": SEVERAL, "sampler": "cmaes"}, "sampler: the sampler cmaes takes only one objective; use nsga2"),
        ({"constraints": {"val_loss": 0.5}}, "constraints.val_loss: write <=, <, >= or > and then a number, in quotes"),
        ({"constraints": ["val_loss < 0.5"]}, "constraints: must be a mapping"),
        ({"warm_start": "s"}, "warm_start: a study cannot start from its own trials; name another study"),
        ({"warm_start": "other", "sampler": "grid"}, "warm_start: the grid sampler tries only the values of its grid"),
        ({"warm_start": {"study": "other", "trials": 0}}, "warm_start.trials: must be greater than 0 (it is 0)"),
        ({"objectives": "val_loss"}, "objectives: unknown key; did you mean objective?"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_its_key(keys, said):
    assert [problem[: len(said)] for problem in refused(**keys)] == [said]


def test_a_key_inside_a_list_is_not_overridden_by_its_name(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(
        "study: s\ndata: {kind: image_directory, path: .}\nspace: image\nobjective: [val_accuracy, parameters]"
    )
    with pytest.raises(
        SpecError, match=r"objective: this is a list, which can only be set as a whole: --set objective=\[...\]"
    ):
        load_spec(file, ["objective.direction=minimize"])
    assert load_spec(file, ["objective=[val_loss, parameters]"]).objective.metric == "val_loss"


def test_values_to_try_are_yaml_after_their_name():
    given = ["units=64", "family=plain", "flip=true", "rate=1e-3", "units[model=a|b]=5", "note=a=b"]
    values = {"units": 64, "family": "plain", "flip": True, "rate": 0.001, "units[model=a|b]": 5, "note": "a=b"}
    assert read_values(given) == values


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["units"], "'units' does not have the form name=value"),
        (["=3"], "'=3' does not have the form name=value"),
        (["units=1", "units=2"], "units: the hyperparameter is given twice"),
        (["units=[1"], "units: the value is not YAML"),
    ],
)
def test_what_is_no_value_to_try_is_refused(given, said):
    with pytest.raises(SpecError) as error:
        read_values(given)
    assert said in str(error.value)
