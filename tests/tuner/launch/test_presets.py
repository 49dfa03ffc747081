"""Values that people give, held against a listed space; the listing and the space itself must agree."""

from __future__ import annotations

import pytest

from tuner.errors import PresetError
from tuner.hyperparameters import TrialHyperParameters, explore
from tuner.launch.presets import check_preset, fitting, portfolio_of


def declare(hp):
    hp.Int("units", 4, 64, step=4)
    hp.Int("depth", 1, 100, sampling="log")
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Float("dropout", 0.0, 0.5, step=0.1)
    hp.Float("decay", 1e-4, 1e-1, step=10, sampling="log")
    hp.Float("momentum", 0.8, 0.99, sampling="reverse_log")
    hp.Choice("size", [16, 32, 128])
    hp.Boolean("flip")
    hp.Fixed("head", "dense")
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("warmup", 0.1, 0.2)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("warmup", 0.3, 0.4)
        hp.Boolean("nesterov")


@pytest.fixture(scope="module")
def space():
    return [each.as_dict() for each in explore(declare)]


VALUES = {
    "units": [4, 8, 64, 64.0, 6, 0, 68, True, "8", "many", None],
    "depth": [1, 37, 100, 0, 101, 2.5],
    "rate": [1e-4, 0.05, "1e-3", 0.2, 0, float("nan"), [0.01]],
    "dropout": [0, 0.3, 0.30000000000000004, 0.5, 0.25, 0.6, -0.1],
    "decay": [1e-4, 0.01, "1e-2", 0.02, 1],
    "momentum": [0.8, 0.9, 0.99, 0.7],
    "size": [16, 128, 16.0, 64, "16"],
    "flip": [True, False, 1, 0, "true"],
    "optimizer": ["adam", "sgd", "rmsprop", 1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in VALUES.items() for value in values])
def test_what_is_accepted_is_what_a_trial_takes_and_the_rest_is_refused_by_both(name, value, space):
    found = fitting(space, {name: value})
    recorded = {}

    def record(asked, distribution, wanted):
        if wanted is None:
            wanted = distribution.low
        recorded[asked] = wanted
        return wanted

    def taken_by_a_trial(preset):
        hp = TrialHyperParameters(record, preset, use_defaults=True)
        declare(hp)
        return hp.get(name)

    if found:
        assert taken_by_a_trial(found) == pytest.approx(found[name]) if name != "optimizer" else found[name] == value
        assert type(found[name]) is type(taken_by_a_trial(found))
    else:
        # Text that YAML did not take for a number is the listing's to read.
        with pytest.raises(ValueError, match="is not allowed"):
            taken_by_a_trial({name: value} if not isinstance(value, list) else {name: str(value)})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"unit": 8}, "no hyperparameter 'unit'; did you mean units?"),
        ({"zzz": 8}, "no hyperparameter 'zzz'; the space has units, depth, rate"),
        ({"units": 9}, "units: 9 is not allowed; it takes int from 4 to 64 in steps of 4"),
        ({"flip": 2}, "flip: 2 is not allowed; it takes one of false, true"),
        (
            {"nesterov": True, "optimizer": "adam"},
            "nesterov is not used with these values: it needs optimizer=sgd",
        ),
        ({"warmup": 0.25}, "warmup: 0.25 is not allowed; it takes float from 0.1 to 0.2, or float from 0.3 to 0.4"),
        ({"warmup": 0.15, "optimizer": "sgd"}, "warmup: 0.15 is not allowed; it takes float from 0.3 to 0.4"),
        ({"warmup[optimizer=adam]": 0.35}, "it takes float from 0.1 to 0.2"),
    ],
)
def test_what_is_refused_is_said_with_what_is_allowed(given, said, space):
    with pytest.raises(PresetError) as refused:
        check_preset(space, given)
    assert said in str(refused.value)


def test_every_problem_is_said_at_once_and_good_values_have_their_own_types(space):
    with pytest.raises(PresetError) as refused:
        check_preset(space, {"unit": 8, "units": 9, "depth": 1})
    assert len(refused.value.problems) == 2
    good = {"units": "8", "rate": "1e-3", "warmup[optimizer=sgd]": 0.35, "optimizer": "sgd", "flip": True}
    assert check_preset(space, good) == good | {"units": 8, "rate": 0.001}


def test_a_portfolio_is_as_much_of_it_as_the_space_has(space):
    wanted = [
        {},
        {"optimizer": "sgd", "nesterov": True, "rate": 0.01},
        # Too large here: its default takes its place.
        {"units": 1000, "depth": 3},
        # What hangs on it was chosen for another optimizer.
        {"optimizer": "lion", "rate": 0.001},
        {"optimizer": "sgd", "nesterov": True, "rate": 0.01, "heads": 4},
    ]
    assert portfolio_of(space, wanted) == [{}, {"optimizer": "sgd", "nesterov": True, "rate": 0.01}, {"depth": 3}]
