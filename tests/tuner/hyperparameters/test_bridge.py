"""Every kind of hyperparameter through real trials: the value stored is the value the model saw."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from storage.summaries import public_params
from tuner.hyperparameters import Suggest, TrialHyperParameters, default_of
from tuner.spec.hyperparameters import Hyperparameters

Answers = Callable[[optuna.Trial], Suggest]
Ask = Callable[[keras_tuner.HyperParameters], Any]

KINDS: dict[str, tuple[Ask, Callable[[Any], bool]]] = {
    "int": (lambda hp: hp.Int("x", -3, 3), lambda x: x in range(-3, 4)),
    "int in steps": (lambda hp: hp.Int("x", 6, 13, step=3), lambda x: x in (6, 9, 12)),
    "int, log": (lambda hp: hp.Int("x", 1, 1000, sampling="log"), lambda x: 1 <= x <= 1000),
    "int, log in steps": (
        lambda hp: hp.Int("x", 2, 33, step=2, sampling="log"),
        lambda x: x in (2, 4, 8, 16, 32) and type(x) is int,
    ),
    "int, reverse_log": (
        lambda hp: hp.Int("x", 1, 100, sampling="reverse_log"),
        lambda x: 1 <= x <= 100 and type(x) is int,
    ),
    "int, reverse_log in steps": (
        lambda hp: hp.Int("x", 1, 16, step=2, sampling="reverse_log"),
        lambda x: x in (16, 15, 13, 9, 1),
    ),
    "float": (lambda hp: hp.Float("x", -0.5, 0.5), lambda x: -0.5 <= x <= 0.5),
    "float in steps": (
        lambda hp: hp.Float("x", 0, 0.6, step=0.1),
        lambda x: any(math.isclose(x, k / 10, abs_tol=1e-12) for k in range(7)),
    ),
    "float, log": (lambda hp: hp.Float("x", 1e-5, 1, sampling="log"), lambda x: 1e-5 <= x <= 1),
    "float, log in steps": (
        lambda hp: hp.Float("x", 0.001, 10, step=10, sampling="log"),
        lambda x: x in [0.001 * 10.0**k for k in range(5)],
    ),
    "float, reverse_log": (
        lambda hp: hp.Float("x", 0.01, 0.99, sampling="reverse_log"),
        lambda x: 0.01 <= x <= 0.99,
    ),
    "choice of words": (lambda hp: hp.Choice("x", ["a", "b", "c"]), lambda x: x in "abc"),
    "one choice": (lambda hp: hp.Choice("x", ["only"]), lambda x: x == "only"),
    "one number": (lambda hp: hp.Choice("x", [32]), lambda x: x == 32),
    "even ints": (lambda hp: hp.Choice("x", [30, 10, 20]), lambda x: x in (10, 20, 30)),
    "uneven ints": (lambda hp: hp.Choice("x", [16, 64, 32]), lambda x: x in (16, 32, 64)),
    "even floats": (lambda hp: hp.Choice("x", [0.25, 0.5, 0.75]), lambda x: x in (0.25, 0.5, 0.75)),
    "rounded floats": (lambda hp: hp.Choice("x", [0.1, 0.2, 0.3]), lambda x: x in (0.1, 0.2, 0.3)),
    "uneven floats": (lambda hp: hp.Choice("x", [1e-2, 1e-3]), lambda x: x in (1e-2, 1e-3)),
    "numbers without order": (
        lambda hp: hp.Choice("x", [3, 1, 2], ordered=False),
        lambda x: x in (1, 2, 3),
    ),
    "boolean choice": (lambda hp: hp.Choice("x", [True, False]), lambda x: x in (0, 1)),
    "boolean": (lambda hp: hp.Boolean("x"), lambda x: x is True or x is False),
    "one int": (lambda hp: hp.Int("x", 4, 4), lambda x: x == 4),
}


@pytest.mark.filterwarnings("error", "ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_stored_is_seen(kind: str, study: optuna.Study, answers: Answers) -> None:
    ask, allowed = KINDS[kind]
    for number in range(12):
        trial = study.ask()
        hp = TrialHyperParameters(answers(trial), use_defaults=number == 0)
        value = ask(hp)
        study.tell(trial, float(value) if not isinstance(value, str) else float(len(value)))
        assert allowed(value), value
        stored = study.trials[number].params["x"]
        assert stored == value == hp.get("x") == hp.suggested["x"]
        assert type(stored) is type(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_recorded(kind: str, answers: Answers) -> None:
    ask, _ = KINDS[kind]
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()), use_defaults=True)
    assert ask(hp) == ask(keras_tuner.HyperParameters()) == study.trials[0].params["x"]


def test_samplers_see_an_order_and_people_the_value(answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()), {"filters": 32, "momentum": 0.9})
    assert hp.Choice("filters", [16, 32, 128]) == 32
    assert hp.Float("momentum", 0.5, 0.99, sampling="reverse_log") == 0.9
    assert study.trials[0].distributions == {
        "filters@rank": IntDistribution(0, 2),
        "filters": IntDistribution(32, 32),
        "momentum@mirror": FloatDistribution(0.5, 0.99, log=True),
        "momentum": FloatDistribution(0.9, 0.9, step=1),
    }
    assert study.trials[0].params["filters@rank"] == 1
    assert study.trials[0].params["momentum@mirror"] == pytest.approx(0.59)


def _median(ask: Ask, answers: Answers) -> float:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    values = sorted(ask(TrialHyperParameters(answers(study.ask()))) for _ in range(400))
    return values[200]


def test_log_and_reverse_log_are_distributed_as_in_keras_tuner(answers: Answers) -> None:
    log = _median(lambda hp: hp.Float("x", 1e-4, 1, sampling="log"), answers)
    reverse = _median(lambda hp: hp.Float("x", 1e-4, 1, sampling="reverse_log"), answers)
    integers = _median(lambda hp: hp.Int("x", 1, 10_000, sampling="reverse_log"), answers)
    # KerasTuner's medians are at probability 0.5: 0.01, and 1.0001 - 0.01.
    assert 0.005 < log < 0.02
    assert 0.98 < reverse < 0.995
    assert 9_800 < integers < 9_950


def test_conditions(study: optuna.Study, answers: Answers) -> None:
    for _ in range(12):
        trial = study.ask()
        hp = TrialHyperParameters(answers(trial))
        model = hp.Choice("model", ["a", "b"])
        with hp.conditional_scope("model", ["a"]):
            a = hp.Int("units", 1, 9)
            deep = hp.Boolean("deep")
            with hp.conditional_scope("deep", [True]):
                layers = hp.Int("layers", 2, 4)
        with hp.conditional_scope("model", ["b"]):
            b = hp.Int("units", 100, 900)
        pool = hp.Int("pool", 1, 2, parent_name="model", parent_values=["a", "b"])
        study.tell(trial, (a or b) / 1000)
        params = study.trials[-1].params
        expected = {"model": model, "pool[model=a|b]": pool}
        if model == "a":
            assert b is None
            expected |= {"units[model=a]": a, "deep[model=a]": deep}
            assert (layers is None) == (not deep)
            expected |= {"layers[model=a,deep=True]": layers} if deep else {}
        else:
            assert (a, deep, layers) == (None, None, None)
            assert "deep" not in hp
            with pytest.raises(ValueError, match="inactive"):
                hp.get("deep")
            expected |= {"units[model=b]": b}
        assert params == expected
        assert hp.get("units") == (a or b)


def test_name_scopes_are_part_of_the_name(answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()))
    with hp.name_scope("optimizer"):
        kind = hp.Choice("kind", ["sgd", "adam"])
        with hp.conditional_scope("kind", [kind]):
            rate = hp.Float("rate", 0.1, 0.2)
        assert hp.get("rate") == rate
    assert study.trials[0].params == {
        "optimizer/kind": kind,
        f"optimizer/rate[optimizer/kind={kind}]": rate,
    }


def test_fixed_is_a_value_and_no_parameter(answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()))
    assert hp.Fixed("epochs", 7) == 7
    assert hp.get("epochs") == 7
    assert study.trials[0].params == {}


@pytest.mark.parametrize("values", [[0.1, 0.01], [1e-2, 1e-4], [0.3, 0.1], [0.7, 0.1, 0.4]])
def test_every_number_of_a_choice_is_tried(study: optuna.Study, answers: Answers, values: list[float]) -> None:
    seen = {TrialHyperParameters(answers(study.ask())).Choice("rate", values) for _ in range(40)}
    assert seen == set(values)


def test_asking_twice_gives_the_same_value(answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()))
    assert len({hp.Int("x", 0, 10**6) for _ in range(5)}) == 1


def test_a_copy_is_answered_by_the_same_trial(answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()))
    x = hp.Int("x", 0, 10**6)
    duplicate = hp.copy()
    y = duplicate.Int("y", 0, 10**6)
    assert duplicate.get("x") == x
    assert "y" not in hp
    assert study.trials[0].params == {"x": x, "y": y}
    assert hp.Int("y", 0, 10**6) == y


def test_configuration_is_that_of_keras_tuner(answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()))
    hp.Choice("model", ["a", "b"])
    hp.Float("x", 0, 1, parent_name="model", parent_values=["a"])
    restored = TrialHyperParameters.from_config(hp.get_config())
    assert restored.values == hp.values
    assert restored.get_config() == hp.get_config()


def test_a_resumed_trial_keeps_its_values(answers: Answers) -> None:
    study = optuna.create_study()
    trial = study.ask()

    def build(hp: keras_tuner.HyperParameters) -> list[Any]:
        return [
            hp.Float("momentum", 0.5, 0.99, sampling="reverse_log"),
            hp.Choice("filters", [16, 32, 128]),
            hp.Float("rate", 1e-4, 1e-1, sampling="log"),
        ]

    first = build(TrialHyperParameters(answers(trial)))
    again = optuna.Trial(study, trial._trial_id)
    assert build(TrialHyperParameters(answers(again), use_defaults=True)) == first


@pytest.mark.parametrize(
    ("ask", "value", "allowed"),
    [
        (lambda hp: hp.Int("x", 6, 13, step=3), 7, "from 6 to 12 in steps of 3"),
        (lambda hp: hp.Int("x", 6, 13), 6.5, "from 6 to 13"),
        (lambda hp: hp.Int("x", 6, 13), "7", "from 6 to 13"),
        (lambda hp: hp.Float("x", 0, 1, step=0.25), 0.3, "from 0.0 to 1.0 in steps of 0.25"),
        (lambda hp: hp.Float("x", 1, 2, sampling="log"), math.nan, "from 1.0 to 2.0"),
        (lambda hp: hp.Float("x", 1, 2, sampling="reverse_log"), 0.5, "from 1.0 to 2.0"),
        (lambda hp: hp.Choice("x", ["a", "b"]), "c", "one of 'a', 'b'"),
        (lambda hp: hp.Choice("x", [16, 64, 128]), 32, "one of 16, 64, 128"),
        (lambda hp: hp.Boolean("x"), "yes", "one of False, True"),
    ],
)
def test_a_preset_that_is_not_allowed(ask: Ask, value: Any, allowed: str, answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()), {"x": value})
    with pytest.raises(ValueError) as caught:
        ask(hp)
    assert str(caught.value) == (f"hyperparameter x: the preset value {value!r} is not allowed; it takes {allowed}")


def test_presets_by_either_name_and_the_unused(answers: Answers) -> None:
    study = optuna.create_study()
    preset = {"model": "b", "units": 3, "units[model=b]": 4, "rate": 0.01, "gone": 1}
    hp = TrialHyperParameters(answers(study.ask()), preset)
    hp.Choice("model", ["a", "b"])
    with hp.conditional_scope("model", ["b"]):
        assert hp.Int("units", 1, 9) == 4
    # 0.01 in a list of 0.001 * 10**k is 0.01 as people write it.
    assert hp.Float("rate", 0.001, 1, step=10, sampling="log") == pytest.approx(0.01)
    assert set(hp.unused_preset) == {"gone", "units"}


def test_a_default_outside_its_range_gives_the_nearest_value(answers: Answers) -> None:
    study = optuna.create_study()
    hp = TrialHyperParameters(answers(study.ask()), use_defaults=True)
    assert hp.Int("a", 32, 512, step=32, default=100) == 96
    assert hp.Float("b", 1e-4, 1e-2, sampling="log", default=0.1) == 1e-2
    assert hp.Int("c", 2, 32, step=2, sampling="log", default=20) == 16
    assert hp.Int("d", 1, 10, sampling="reverse_log", default=0) == 1


def test_a_first_trial_takes_the_defaults_that_somebody_chose_and_draws_the_others() -> None:
    asked: dict[str, Any] = {}

    def suggest(name: str, distribution: BaseDistribution, value: Any) -> Any:
        asked[name] = value
        return default_of(name, distribution, value) if value is not None else distribution.high  # type: ignore[attr-defined]

    entries = Hyperparameters.model_validate({"entries": {"said": {"default": 3}, "narrowed": {"min_value": 2}}})
    hp = TrialHyperParameters(suggest, use_defaults="advised", spec=entries)
    assert hp.Int("lower_end", 1, 9) == 9
    assert hp.Int("chosen", 1, 9, default=1) == 1
    assert hp.Float("chosen_rate", 1e-4, 1e-1, sampling="log", default=1e-3) == 1e-3
    assert hp.Choice("activation", ["relu", "gelu"], default="relu") == "relu"
    assert hp.Boolean("flag") is False
    assert hp.Int("said", 1, 9) == 3
    assert hp.Int("narrowed", 1, 9) == 9
    assert {name for name, value in asked.items() if value is None} == {"lower_end", "narrowed"}


def test_brute_force_tries_each_configuration_once(answers: Answers) -> None:
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=0))
    seen = []

    def objective(trial: optuna.Trial) -> float:
        hp = TrialHyperParameters(answers(trial))
        model = hp.Choice("model", ["a", "b"])
        with hp.conditional_scope("model", ["a"]):
            filters = hp.Choice("filters", [16, 32, 128])
            rate = hp.Float("rate", 0, 0.2, step=0.1)
        seen.append((model, filters, rate))
        return 0.0

    study.optimize(objective)
    rates = sorted({rate for _, _, rate in seen if rate is not None})
    assert rates == pytest.approx([0.0, 0.1, 0.2])
    assert sorted(seen[i] for i in range(len(seen)) if seen[i][0] == "a") == [
        ("a", filters, rate) for filters in (16, 32, 128) for rate in rates
    ]
    assert [each for each in seen if each[0] == "b"] == [("b", None, None)]


def test_boolean_is_categorical(answers: Answers) -> None:
    study = optuna.create_study()
    TrialHyperParameters(answers(study.ask())).Boolean("x")
    assert study.trials[0].distributions["x"] == CategoricalDistribution((False, True))


def test_a_very_long_condition_fits_the_database(answers: Answers) -> None:
    study = optuna.create_study()
    words = [f"{number:03d}{'x' * 20}" for number in range(40)]
    for last in (38, 39):
        hp = TrialHyperParameters(answers(study.ask()), {"word": words[0]})
        hp.Choice("word", words)
        with hp.conditional_scope("word", words[:last]):
            hp.Choice("filters", [1, 2, 4])
    names = {name for trial in study.trials for name in trial.params}
    assert max(len(name) for name in names) < 512
    assert len(names) == 5


def test_names_of_the_spaces_own_do_not_look_like_ours(answers: Answers) -> None:
    study = optuna.create_study()
    trial = study.ask()
    hp = TrialHyperParameters(answers(trial), use_defaults=True)
    asked = ["act@rank", "x@mirror", "layers[0]", "layers", "plain"]
    for name in asked:
        hp.Choice(name, [1, 2, 4], ordered=True)
    with hp.conditional_scope("layers[0]", [1]):
        hp.Boolean("inner[1]")
    assert hp.values == dict.fromkeys(asked, 1) | {"inner[1]": False}
    assert public_params(dict(hp.suggested)) == hp.values
