from __future__ import annotations

import json
from collections.abc import Callable

import keras_tuner
import optuna
import pytest

from tuner.hyperparameters import Condition, Declared, Suggest, TrialHyperParameters, explore, grid

Answers = Callable[[optuna.Trial], Suggest]


def _branching(hp: keras_tuner.HyperParameters) -> None:
    if hp.Choice("model", ["flat", "deep", "wide"]) == "deep":
        for layer in range(hp.Int("layers", 1, 3)):
            hp.Int(f"units_{layer}", 8, 64, step=8)
        if hp.Boolean("norm"):
            hp.Float("momentum", 0.9, 0.99)
    hp.Float("rate", 1e-4, 1e-2, sampling="log", default=1e-3)


def test_plain_python_branches_are_found_with_their_conditions() -> None:
    found = {each.name: each for each in explore(_branching)}
    conditions = {name: [str(each) for each in found[name].conditions] for name in found}
    assert conditions == {
        "model": [],
        "layers": ["model=deep"],
        "units_0": ["model=deep"],
        "units_1": ["layers=2|3"],
        "units_2": ["layers=3"],
        "norm": ["model=deep"],
        "momentum": ["norm=True"],
        "rate": [],
    }
    assert all(each.discovered for name in found for each in found[name].conditions)
    # A condition that the space does not declare is no part of the name in a trial.
    assert found["units_2"].optuna_name == "units_2"
    assert next(iter(found)) == "model"
    assert list(found)[-1] == "rate"


def test_conditional_scopes_are_listed_as_declared() -> None:
    def build(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("model", ["a", "b"])
        with hp.conditional_scope("model", ["a"]):
            hp.Int("units", 1, 4)
        with hp.conditional_scope("model", ["b"]):
            hp.Int("units", 10, 40)

    _, first, second = explore(build)
    assert first == Declared("units", "int", 1, 4, 1, "linear", (), 1, (Condition("model", ("a",)),))
    assert (second.optuna_name, second.low) == ("units[model=b]", 10)


def test_the_listing_is_json() -> None:
    listed = json.loads(json.dumps([each.as_dict() for each in explore(_branching)]))
    assert listed[0]["values"] == ["flat", "deep", "wide"]
    assert listed[2] == {
        "name": "units_0",
        "kind": "int",
        "low": 8,
        "high": 64,
        "step": 8,
        "sampling": "linear",
        "values": [],
        "default": 8,
        "conditions": [{"parent": "model", "values": ["deep"], "discovered": True}],
        "ordered": False,
        "advised": False,
        "optuna_name": "units_0",
    }


def test_builds_are_bounded() -> None:
    builds = 0

    def build(hp: keras_tuner.HyperParameters) -> None:
        nonlocal builds
        builds += 1
        for number in range(50):
            hp.Boolean(f"flag_{number}")

    assert len(explore(build, limit=7)) == 50
    assert builds == 7


def test_builds_get_every_value_of_a_choice() -> None:
    seen = []
    explore(lambda hp: seen.append((hp.Choice("filters", [16, 32, 128]), hp.Float("rate", 1, 9, 3, "log"))))
    assert sorted(seen) == [(16, 1.0), (32, 1.0), (128, 1.0)]


def test_invalid_combinations_are_passed_over_but_not_invalid_defaults() -> None:
    def build(hp: keras_tuner.HyperParameters) -> None:
        if hp.Choice("size", ["small", "huge"]) == "huge":
            hp.Int("shards", 2, 4)
            raise ValueError("too large")
        hp.Float("rate", 0, 1)

    assert [each.name for each in explore(build)] == ["size", "shards", "rate"]
    with pytest.raises(ZeroDivisionError):
        explore(lambda hp: 1 // 0)


def test_a_grid_through_the_grid_sampler(answers: Answers) -> None:
    def build(hp: keras_tuner.HyperParameters) -> tuple[object, ...]:
        return (
            hp.Choice("filters", [16, 32, 128]),
            hp.Float("rate", 0, 0.3, step=0.1),
            hp.Boolean("norm"),
            hp.Int("mirrored", 1, 3, sampling="reverse_log"),
            hp.Fixed("epochs", 3),
            hp.Choice("only", [5]),
        )

    values = grid(explore(build))
    assert values == {
        "filters@rank": [0, 1, 2],
        "rate": [0.0, 0.1, 0.2, 0.3],
        "norm": [False, True],
        "mirrored@mirror": [1, 2, 3],
        "only": [5],
    }
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(values, seed=0))
    seen = []
    study.optimize(lambda trial: seen.append(build(TrialHyperParameters(answers(trial)))) or 0.0)
    assert len(seen) == len(set(seen)) == 3 * 4 * 2 * 3


def test_a_grid_of_what_has_no_end() -> None:
    def build(hp: keras_tuner.HyperParameters) -> None:
        hp.Float("rate", 1e-4, 1e-2, sampling="log")
        hp.Int("units", 1, 5000)

    declared = explore(build)
    with pytest.raises(ValueError, match="rate, which is continuous: give it a step"):
        grid(declared)
    with pytest.raises(ValueError, match="units, which has 5000 values"):
        grid(declared, {"rate": [1e-3]})
    assert grid(declared, {"rate": [1e-3, 1e-2], "units": [10]}) == {
        "rate": [1e-3, 1e-2],
        "units": [10],
    }
    with pytest.raises(ValueError, match=r"rate takes from 0.0001 to 0.01"):
        grid(declared, {"rate": [3.0], "units": [10]})
