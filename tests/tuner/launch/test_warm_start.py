"""What a study begins with of the best trials of other ones."""

from __future__ import annotations

import copy

import pytest

from storage import studies
from storage.leaderboard import TrialSummary
from tuner.errors import SpecError
from tuner.hyperparameters import explore
from tuner.launch.likeness import likeness_of_data
from tuner.launch.warm_start import Other, others_of, warm_started

DATA = {
    "fingerprint": "a",
    "kind": "csv",
    "task": "classification",
    "inputs": [{"name": "age", "kind": "number"}, {"name": "sex", "kind": "category"}],
    "targets": [{"name": "", "class_names": ["0", "1"]}],
    "splits": {"train": {"examples": 100}},
}


def declare(hp):
    hp.Int("units", 4, 64, step=4)
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("warmup", 0.3, 0.4)


@pytest.fixture(scope="module")
def space():
    return [each.as_dict() for each in explore(declare)]


def trial(number, **params):
    return TrialSummary(number, 0.5, "complete", "complete", params, {}, 1, 1.0)


def data(**changed):
    return copy.deepcopy(DATA) | {"fingerprint": "b"} | changed


def test_a_warm_start_takes_the_values_that_fit(space, make_spec):
    spec = make_spec(warm_start="other")
    best = [trial(7, units=8, rate=0.5, gone=1), trial(3, gone=2), trial(2, units=16, optimizer="sgd", warmup=0.35)]
    started = warm_started(spec, [Other("other", best, data(kind="text"))], space, DATA)
    assert started.presets == [{"units": 8}, {"units": 16, "optimizer": "sgd", "warmup": 0.35}]
    assert started.said == [
        "Warm start: the configurations of trials 7, 2 of study other are tried first; 4 of 7 values fit; "
        "not gone, rate"
    ]
    none = warm_started(spec, [Other("other", best[1:2])], space, DATA)
    assert none.presets == []
    assert none.said == ["Warm start: no hyperparameter value of study other fits this search space"]
    assert "study other has no complete trial" in warm_started(spec, [Other("other", [])], space, DATA).said[0]


def test_of_several_studies_more_is_taken_from_those_that_are_more_alike(space, make_spec):
    spec = make_spec(warm_start={"study": ["far", "near", "else"], "trials": 5}, trials=20)
    others = [
        Other("far", [trial(number, units=4 * number, other=1) for number in range(1, 6)], data(task="regression")),
        Other("near", [trial(number, units=32 + 4 * number) for number in range(1, 6)], DATA),
        Other("else", [trial(0, units=36), trial(1, units=64)], data()),
    ]
    started = warm_started(spec, others, space, DATA)
    assert [each["units"] for each in started.presets] == [36, 64, 40, 44, 48]
    assert started.said == [
        "Warm start: no configuration of study far is tried: other studies are more like this one",
        "Warm start: the configurations of trials 1, 2, 3, 4 of study near (weight 1.00) are tried first; "
        "5 of 5 values fit",
        "Warm start: the configuration of trial 1 of study else (weight 1.00) is tried first; 2 of 2 values fit",
    ]


@pytest.mark.parametrize(
    ("changed", "likeness"),
    [
        ({"fingerprint": "a", "kind": "text"}, 1.0),
        ({}, 1.0),
        ({"kind": "text"}, 0.0),
        ({"task": "regression"}, 0.0),
        ({"splits": {"train": {"examples": 50}}}, 2.5 / 3),
        ({"inputs": [{"name": "age", "kind": "number"}, {"name": "sex", "kind": "integer"}]}, (1 / 3 + 2) / 3),
        ({"targets": [{"name": "", "class_names": ["1", "2"]}]}, (1 / 3 + 2) / 3),
    ],
)
def test_data_is_as_alike_as_its_inputs_its_targets_and_its_size(changed, likeness):
    assert likeness_of_data(DATA, data(**changed)) == pytest.approx(likeness)
    assert likeness_of_data(data(**changed), DATA) == pytest.approx(likeness)


def test_a_warm_start_from_an_unknown_study_is_refused(database, create_study, make_spec):
    create_study(make_spec())
    with pytest.raises(SpecError, match="warm_start: no study 'shape'; there is 'shapes', in the same database"):
        others_of(database, make_spec(study="new", warm_start=["shapes", "shape"]))
    [other] = others_of(database, make_spec(study="new", warm_start="shapes"))
    assert (other.name, other.best) == ("shapes", [])
    assert [each.name for each in studies.list_studies(database)] == ["shapes"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["a", "a"], "a is named twice"),
        (["a", "shapes"], "a study cannot start from its own trials"),
        ([], "at least 1"),
        ([""], "at least 1 character"),
        ([3], "string"),
    ],
)
def test_studies_are_named_once_and_are_others(named, said, make_spec):
    with pytest.raises(SpecError) as refused:
        make_spec(warm_start=named)
    assert said in str(refused.value)
