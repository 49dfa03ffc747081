"""Entries of a spec in place of what a ready-made hypermodel declares, beside KerasTuner's ``hyperparameters=``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from keras_tuner.oracles import RandomSearchOracle

from tuner.hyperparameters import (
    Declared,
    RefusedEntry,
    TrialHyperParameters,
    check_entries,
    default_of,
    explore,
    grid,
    reachable,
)
from tuner.launch.presets import check_preset
from tuner.spec.hyperparameters import Hyperparameters

TRIALS = 60


def ready_made(hp: keras_tuner.HyperParameters) -> dict[str, Any]:
    """As people write them: numbers, choices, scopes, and branches in plain Python."""
    seen = {
        "units": hp.Int("units", 32, 512, step=32, default=128),
        "rate": hp.Float("rate", 1e-5, 1e-1, sampling="log", default=1e-3),
        "dropout": hp.Float("dropout", 0.0, 0.9, step=0.1, default=0.2),
        "activation": hp.Choice("activation", ["relu", "tanh", "selu"]),
        "filters": hp.Choice("filters", [16, 32, 64, 128]),
        "norm": hp.Boolean("norm"),
        "seed": hp.Fixed("seed", 7),
        "kind": hp.Choice("kind", ["mlp", "cnn"]),
    }
    with hp.conditional_scope("kind", ["mlp"]):
        if seen["kind"] == "mlp":
            seen["layers"] = hp.Int("layers", 1, 5)
    with hp.conditional_scope("kind", ["cnn"]):
        if seen["kind"] == "cnn":
            seen["kernel"] = hp.Int("kernel", 3, 7, step=2)
    if seen["norm"]:
        seen["momentum"] = hp.Float("momentum", 0.5, 0.99)
    return seen


def spec_of(entries: dict[str, Any], **keys: bool) -> Hyperparameters:
    return Hyperparameters.model_validate({"entries": entries, **keys})


def seen_here(spec: Hyperparameters, build: Callable[..., dict[str, Any]] = ready_made) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = []
    for number in range(TRIALS):
        trial = study.ask()

        def suggest(name: str, distribution: Any, value: Any, trial: optuna.Trial = trial) -> Any:
            return trial._suggest(name, distribution) if value is None else value

        seen.append(build(TrialHyperParameters(suggest, use_defaults=number == 0, spec=spec)))
    return seen


def seen_by_keras_tuner(register: Callable[..., None], folder: Path, **keys: bool) -> list[dict[str, Any]]:
    """What the same hypermodel sees in a search of KerasTuner's."""
    hp, seen = keras_tuner.HyperParameters(), []
    register(hp)

    class Search(keras_tuner.Tuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            seen.append(ready_made(trial.hyperparameters))
            return 0.0

    oracle = RandomSearchOracle(objective=None, max_trials=TRIALS, hyperparameters=hp, seed=0, **keys)
    Search(oracle=oracle, hypermodel=ready_made, directory=folder, overwrite=True).search(verbose=0)
    return seen


def in_kind(values: list[Any]) -> Any:
    """What two searches of one space have in common: the types, and the values where they are few."""
    types = {type(each) for each in values}
    # KerasTuner has 0.30000000000000004 for 0.3.
    distinct = {round(each, 9) if isinstance(each, float) else each for each in values}
    return types, distinct if len(distinct) <= 3 else None


@pytest.mark.parametrize(
    ("entries", "keys", "register"),
    [
        ({"rate": 1e-4, "units": 64}, {}, lambda hp: (hp.Fixed("rate", 1e-4), hp.Fixed("units", 64))),
        ({"units": {"values": [8, 1024]}}, {}, lambda hp: hp.Choice("units", [8, 1024])),
        (
            {"dropout": {"min_value": 0.25, "max_value": 0.75, "step": 0.25}},
            {},
            lambda hp: hp.Float("dropout", 0.25, 0.75, step=0.25),
        ),
        ({"activation": {"values": ["gelu", "relu"]}}, {}, lambda hp: hp.Choice("activation", ["gelu", "relu"])),
        ({"activation": "elu", "norm": True}, {}, lambda hp: (hp.Fixed("activation", "elu"), hp.Fixed("norm", True))),
        ({"kind": "cnn"}, {}, lambda hp: hp.Fixed("kind", "cnn")),
        ({"filters": {"min_value": 1, "max_value": 3}}, {}, lambda hp: hp.Int("filters", 1, 3)),
        ({"seed": {"values": [1, 2]}}, {}, lambda hp: hp.Choice("seed", [1, 2])),
        (
            {"rate": {"values": [0.1, 0.01]}},
            {"tune_new_entries": False},
            lambda hp: hp.Choice("rate", [0.1, 0.01]),
        ),
        (
            {"units": {}, "norm": True},
            {"tune_new_entries": False},
            lambda hp: (hp.Int("units", 32, 512, step=32, default=128), hp.Fixed("norm", True)),
        ),
    ],
)
def test_a_hypermodel_sees_what_it_sees_in_keras_tuner(entries, keys, register, tmp_path):
    ours, theirs = seen_here(spec_of(entries, **keys)), seen_by_keras_tuner(register, tmp_path, **keys)
    assert {name for each in ours for name in each} == {name for each in theirs for name in each}
    for name in {name for each in theirs for name in each}:
        mine, its = ([each[name] for each in seen if name in each] for seen in (ours, theirs))
        assert in_kind(mine) == in_kind(its), name


def test_new_entries_that_are_not_allowed_are_refused_as_in_keras_tuner(tmp_path):
    with pytest.raises(RuntimeError, match="allow_new_entries"):
        seen_by_keras_tuner(lambda hp: hp.Fixed("units", 64), tmp_path, allow_new_entries=False)
    with pytest.raises(RefusedEntry, match="declares 'rate', which entries does not name; did you mean rat") as refused:
        seen_here(spec_of({"units": 64, "rat": 1}, allow_new_entries=False))
    assert refused.value.key == "hyperparameters.allow_new_entries"
    every = {name: {} for name in (*seen_here(spec_of({"norm": True}))[0], "layers", "kernel")}
    seen_here(spec_of({**every, "momentum": {}}, allow_new_entries=False))


def listed(**entries: Any) -> dict[str, Declared]:
    return {each.name: each for each in reachable(explore(ready_made, spec=spec_of(entries)))}


def test_bounds_that_are_not_given_are_the_spaces():
    units, rate = listed(units={"max_value": 256})["units"], listed(rate={"min_value": 1e-3})["rate"]
    assert (units.low, units.high, units.step, units.default) == (32, 256, 32, 128)
    assert (rate.low, rate.high, rate.sampling, rate.default) == (1e-3, 1e-1, "log", 1e-3)
    linear = listed(rate={"sampling": "linear"})["rate"]
    assert (linear.low, linear.sampling) == (1e-5, "linear")
    as_log = listed(units={"sampling": "log"})["units"]
    assert (as_log.step, as_log.sampling) == (None, "log")


def test_the_first_trial_has_the_nearest_value_to_the_default():
    assert listed(units={"max_value": 64})["units"].default == 64
    assert listed(units={"values": [16, 100, 900]})["units"].default == 100
    assert listed(units={"values": [16, 100], "default": 16})["units"].default == 16
    assert listed(activation={"default": "selu"})["activation"].values == ("relu", "tanh", "selu")
    assert seen_here(spec_of({"activation": {"default": "selu"}, "units": {"default": 64}}))[0]["units"] == 64


def test_the_listing_the_grid_and_presets_follow_the_spec():
    found = listed(kind="cnn", norm=True, units={"values": [1, 3]}, rate=0.1, dropout=0, filters=8)
    assert "layers" not in found and "momentum" in found
    assert (found["kind"].kind, found["kind"].values) == ("fixed", ("cnn",))
    assert (found["dropout"].values, type(found["dropout"].values[0])) == ((0.0,), float)
    values = grid([each for each in found.values() if each.name != "momentum"])
    assert values == {"units": [1, 3], "activation": ["relu", "tanh", "selu"], "kernel[kind=cnn]": [3, 5, 7]}
    space = [each.as_dict() for each in found.values()]
    assert check_preset(space, {"units": 3, "kernel": 5}) == {"units": 3, "kernel": 5}
    with pytest.raises(Exception, match="units: 2 is not allowed; it takes one of 1, 3"):
        check_preset(space, {"units": 2})


def test_an_entry_of_one_condition_is_named_as_optuna_names_it():
    def build(hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        kind, found = hp.Choice("kind", ["a", "b"]), {}
        for each in "ab":
            with hp.conditional_scope("kind", [each]):
                value = hp.Int("units", 1, 9)
                found |= {"kind": kind, "units": value} if kind == each else {}
        return found

    seen = seen_here(spec_of({"units[kind=a]": 3, "units": {"min_value": 8}}), build)
    assert {each["units"] for each in seen if each["kind"] == "a"} == {3}
    assert {each["units"] for each in seen if each["kind"] == "b"} == {8, 9}


def test_a_copy_of_the_hyperparameters_follows_the_spec():
    hp = TrialHyperParameters(default_of, use_defaults=True, spec=spec_of({"x": 3}))
    assert hp.copy().Int("x", 5, 9) == 3


def test_true_and_false_of_a_choice_are_what_keras_tuner_makes_of_them():
    seen = seen_here(spec_of({"flag": True}), lambda hp: {"flag": hp.Choice("flag", [True, False])})
    assert {each["flag"] for each in seen} == {1}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"units": "many"}, "units: 'many' is not an integer, and the search space gives it an integer from 32 to 512"),
        ({"units": 1.5}, "units: 1.5 is not an integer"),
        ({"units": True}, "units: True is not an integer"),
        ({"activation": 5}, "activation: 5 is not a text, and the search space gives it 'relu', 'tanh', 'selu'"),
        ({"activation": {"min_value": 1}}, "activation: it takes 'relu', 'tanh', 'selu'; give values in place of a"),
        ({"norm": {"values": [1, 2]}}, "norm: 1 is not true or false"),
        ({"filters": {"max_value": 64}}, "filters: the search space gives single values; give both min_value and"),
        ({"units": {"min_value": 1000}}, "units: .*min_value 1000 is greater than the max_value 512"),
        ({"rate": {"min_value": -1}}, "rate: .*does not support negative values"),
        ({"rate": {"max_value": 0.1, "default": 3}}, "rate: the default 3.0 is not from 1e-05 to 0.1"),
        ({"activation": {"default": "elu"}}, "activation: the default must be one of 'relu', 'tanh', 'selu'"),
        ({"seed": {"default": 3}}, "seed: the search space fixes it; give a value"),
        ({"kernel": "wide", "kind": "cnn"}, "kernel: 'wide' is not an integer"),
    ],
)
def test_what_a_hyperparameter_cannot_have_is_refused_at_its_key(entries, said):
    with pytest.raises(RefusedEntry, match=rf"^hyperparameters\.entries\.{said}") as refused:
        explore(ready_made, spec=spec_of(entries))
    assert refused.value.key == f"hyperparameters.entries.{next(iter(entries))}"


def test_a_name_that_the_space_does_not_have_is_refused():
    declared = explore(ready_made)
    check_entries(spec_of({"momentum": 0.5, "layers[kind=mlp]": 1}), declared)
    with pytest.raises(RefusedEntry, match="has no hyperparameter 'droput'; did you mean dropout") as refused:
        check_entries(spec_of({"droput": 0.5}), declared)
    assert refused.value.key == "hyperparameters.entries.droput"
    with pytest.raises(RefusedEntry, match="no hyperparameter 'xyz'; it has units, rate, dropout"):
        check_entries(spec_of({"xyz": 0.5}), declared)
