"""Whatever a hypermodel does with ``hp``, it finds what KerasTuner's own hyperparameters would have shown it.

Every case runs on both. Five things differ on purpose:

- A value is in its declared kind and range: a Float's default ``1`` is ``1.0``, and a default that KerasTuner does not
  check gives the nearest allowed value. Optuna records no others.
- A trial has one value of each hyperparameter: ``merge(overwrite=True)`` asks the trial, which gives the value that it
  has, where KerasTuner goes back to the default.
- Steps that add reach the last value, which KerasTuner can lose to rounding: 0.6 of ``Float("x", 0, 0.6, step=0.1)``.
- ``ensure_active_values`` asks the trial instead of drawing at random, and keeps the value of a name that one of its
  conditions allows; KerasTuner drops it if a condition declared later on does not hold.
- What a trial cannot be part of is plain: ``from_config``, ``from_proto`` and pickles give KerasTuner's own class.
"""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from keras_tuner import HyperParameters as Plain
from keras_tuner.engine import hyperparameters as kinds

from tuner.hyperparameters import TrialHyperParameters
from tuner.hyperparameters.declared import declared_from
from tuner.hyperparameters.encoding import encoding_of

Case = Callable[[Plain], Any]

# Every public attribute of KerasTuner's class, and the test that holds ours to it.
TESTED_BY = {
    "Boolean": "test_each_kind",
    "Choice": "test_each_kind",
    "Fixed": "test_each_kind",
    "Float": "test_each_kind",
    "Int": "test_each_kind",
    "active_scopes": "test_scopes",
    "conditional_scope": "test_scopes",
    "copy": "test_copies",
    "ensure_active_values": "test_values_that_a_condition_adds_are_asked_for",
    "from_config": "test_what_is_plain",
    "from_proto": "test_what_is_plain",
    "get": "test_reading",
    "get_config": "test_each_kind",
    "inactive_scopes": "test_scopes",
    "is_active": "test_scopes",
    "merge": "test_merging",
    "name_scope": "test_scopes",
    "space": "test_each_kind",
    "to_proto": "test_what_is_plain",
    "values": "test_reading",
}
SPECIAL = {"__contains__": "test_reading", "__getitem__": "test_reading"}


def test_every_public_attribute_has_a_test() -> None:
    public = {name for name in dir(Plain()) if not name.startswith("_")}
    special = {name for name in vars(Plain) if name.startswith("__") and callable(vars(Plain)[name])} - {"__init__"}
    assert public == set(TESTED_BY)
    assert special == set(SPECIAL)
    assert {*TESTED_BY.values(), *SPECIAL.values()} <= set(globals())


class Defaults:
    """Answers as a trial does that is told what to record. Like a trial's channel, it cannot be copied or pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def answer(self, name: str, distribution: Any, value: Any) -> Any:
        return distribution.low if value is None else value


def ours() -> TrialHyperParameters:
    """A trial's that takes every default."""
    return TrialHyperParameters(Defaults().answer, use_defaults=True)


def shown(value: Any) -> Any:
    """A value with its type: ``True`` and ``1.0`` are not ``1``."""
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shown(each) for each in value]
    return type(value), value


def observed(case: Case, hp: Plain) -> tuple[Any, ...]:
    """What a case gives or raises, and the state that it leaves behind."""
    try:
        result = shown(case(hp))
    except Exception as error:
        result = (type(error), str(error))
    scopes = [
        [(each.name, each.values) for each in conditions] for conditions in [*hp.active_scopes, *hp.inactive_scopes]
    ]
    return result, shown(hp.values), hp.get_config(), len(hp.active_scopes), scopes


def the_same(case: Case) -> Any:
    """Asserts that a case is the same on both, and gives its result."""
    expected = observed(case, Plain())
    assert observed(case, ours()) == expected
    return expected[0]


KINDS: dict[str, Case] = {
    "int": lambda hp: hp.Int("x", 2, 9),
    "int with a default": lambda hp: hp.Int("x", 2, 9, default=5),
    "int in steps": lambda hp: hp.Int("x", 6, 13, step=3, default=12),
    "int of one value": lambda hp: hp.Int("x", 4, 4),
    "negative int": lambda hp: hp.Int("x", -9, -2, default=-3),
    "int, log": lambda hp: hp.Int("x", 1, 1000, sampling="log", default=30),
    "int, log in steps": lambda hp: hp.Int("x", 2, 33, step=2, sampling="log", default=16),
    "int, reverse_log": lambda hp: hp.Int("x", 1, 100, sampling="reverse_log", default=98),
    "int, reverse_log in steps": lambda hp: hp.Int("x", 1, 16, step=2, sampling="reverse_log"),
    "int, written as a float": lambda hp: hp.Int("x", 2.0, 8.0),
    "sampling in capitals": lambda hp: hp.Float("x", 1e-3, 1e-1, sampling="LOG"),
    "sampling of None": lambda hp: hp.Int("x", 1, 3, sampling=None),
    "float": lambda hp: hp.Float("x", -0.5, 0.5),
    "float of integers": lambda hp: hp.Float("x", 0, 3),
    "float with a default": lambda hp: hp.Float("x", 0, 1, default=0.3),
    "float in steps": lambda hp: hp.Float("x", 0, 0.75, step=0.25, default=0.5),
    "float, log": lambda hp: hp.Float("x", 1e-5, 1.0, sampling="log", default=1e-3),
    "float, log in steps": lambda hp: hp.Float("x", 0.001, 10, step=10, sampling="log"),
    "float, reverse_log": lambda hp: hp.Float("x", 0.01, 0.99, sampling="reverse_log", default=0.9),
    "words": lambda hp: hp.Choice("x", ["b", "a", "c"]),
    "words with a default": lambda hp: hp.Choice("x", ["b", "a", "c"], default="c"),
    "integers": lambda hp: hp.Choice("x", [64, 16, 32]),
    "integers with a default": lambda hp: hp.Choice("x", [64, 16, 32], default=32),
    "floats": lambda hp: hp.Choice("x", [1e-2, 1e-3], default=1e-3),
    "floats without an order": lambda hp: hp.Choice("x", [0.3, 0.1], ordered=False),
    "booleans": lambda hp: hp.Choice("x", [True, False]),
    "one word": lambda hp: hp.Choice("x", ["only"]),
    "a value twice": lambda hp: hp.Choice("x", [8, 8, 16], default=16),
    "empty words": lambda hp: hp.Choice("x", ["", "a"]),
    "boolean": lambda hp: hp.Boolean("x"),
    "boolean with a default": lambda hp: hp.Boolean("x", default=True),
    "fixed integer": lambda hp: hp.Fixed("x", 7),
    "fixed float": lambda hp: hp.Fixed("x", 0.5),
    "fixed word": lambda hp: hp.Fixed("x", "word"),
    "fixed truth": lambda hp: hp.Fixed("x", True),
    "a number as name": lambda hp: hp.Int(3, 1, 5),
    "a name with slashes": lambda hp: hp.Int("a/b/c", 1, 5),
}
REFUSED: dict[str, Case] = {
    "no choices": lambda hp: hp.Choice("x", []),
    "choices of several types": lambda hp: hp.Choice("x", [1, "a"]),
    "choices that are lists": lambda hp: hp.Choice("x", [[1], [2]]),
    "choices that are None": lambda hp: hp.Choice("x", [None]),
    "a default that is no choice": lambda hp: hp.Choice("x", ["a", "b"], default="c"),
    "words in order": lambda hp: hp.Choice("x", ["a", "b"], ordered=True),
    "bounds the wrong way round": lambda hp: hp.Int("x", 9, 2),
    "an int that is none": lambda hp: hp.Int("x", 1.5, 3),
    "a step that is no int": lambda hp: hp.Int("x", 1, 3, step=0.5),
    "unknown sampling": lambda hp: hp.Float("x", 0, 1, sampling="gauss"),
    "the logarithm of zero": lambda hp: hp.Float("x", 0, 1, sampling="log"),
    "a logarithmic step of one": lambda hp: hp.Int("x", 1, 8, step=1, sampling="log"),
    "a truth that is none": lambda hp: hp.Boolean("x", default="yes"),
    "a fixed list": lambda hp: hp.Fixed("x", [1]),
    "a fixed None": lambda hp: hp.Fixed("x", None),
    "a parent that is missing": lambda hp: hp.Int("x", 1, 2, parent_name="gone", parent_values=[1]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind: str) -> None:
    ask = KINDS[kind]
    the_same(ask)
    # Asked twice, with another declaration under the same name, and where a value is there already.
    the_same(lambda hp: [ask(hp), ask(hp), len(hp.space)])
    the_same(lambda hp: [ask(hp), hp.Int("x", 100, 200), len(hp.space)])
    the_same(lambda hp: [hp.values.update({"x": "there"}), ask(hp)])
    the_same(lambda hp: [(type(each).__name__, each.get_config(), repr(each)) for each in [ask(hp), *hp.space][1:]])


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_under_a_condition(kind: str) -> None:
    ask = KINDS[kind]

    def conditional(*active: str) -> Case:
        def case(hp: Plain) -> Any:
            hp.Choice("model", ["a", "b"])
            with hp.conditional_scope("model", list(active)):
                value = ask(hp)
            return [value, "x" in hp, hp.is_active("x"), [hp.is_active(each) for each in hp.space], len(hp.space)]

        return case

    the_same(conditional("a"))
    the_same(conditional("b"))
    the_same(conditional("a", "b"))


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    kind, _ = the_same(REFUSED[case])
    assert issubclass(kind, Exception)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("fixed")])
def test_what_keras_tuner_samples_is_allowed_and_what_is_sampled_here_is_its_own(kind: str) -> None:
    hp = Plain()
    KINDS[kind](hp)
    (theirs,) = hp.space
    encoding = encoding_of(declared_from(theirs))
    for seed in range(50):
        value = theirs.random_sample(seed)
        allowed = encoding.coerce(value)
        assert allowed == pytest.approx(value)
        assert type(allowed) is type(value)
    is_listed = isinstance(theirs, kinds.Choice | kinds.Boolean) or theirs.step is not None
    if encoding.distribution.single() or not is_listed:
        return
    codes = getattr(encoding.distribution, "choices", None)
    if codes is None:
        count = round((encoding.distribution.high - encoding.distribution.low) / encoding.distribution.step)
        codes = [encoding.distribution.low + index * encoding.distribution.step for index in range(count + 1)]
    assert sorted(map(encoding.decode, codes)) == pytest.approx(sorted(set(theirs.values)))


def nested(hp: Plain) -> Any:
    found = [hp.Choice("model", ["a", "b"]), hp.Boolean("deep", default=True)]
    with hp.name_scope("outer"):
        found += [hp.Int("units", 1, 9), hp.Choice("kind", ["p", "q"], default="q")]
        with hp.conditional_scope("kind", ["q"]), hp.name_scope("inner"):
            found += [hp.Float("rate", 0, 1), hp.Boolean("more"), hp.get("rate"), "more" in hp, "units" in hp]
            with hp.conditional_scope("more", [True]):
                found += [hp.Int("layers", 1, 3), "layers" in hp]
        with hp.conditional_scope("kind", ["p"]):
            found += [hp.Float("rate", 0, 1), hp.Fixed("seed", 1), hp.is_active("outer/rate")]
        found += [hp.get("units"), hp["kind"], "kind" in hp, "model" in hp]
    with hp.conditional_scope("model", "a"):
        found += [hp.Int("width", 1, 4)]
    with hp.conditional_scope("model", ["b"]):
        found += [hp.Int("width", 5, 8), hp.get("width")]
    found += [hp.Int("last", 1, 2, parent_name="deep", parent_values=True), hp.get("outer/inner/rate")]
    return found


def unwound(hp: Plain) -> Any:
    hp.Boolean("on")
    for scope in (hp.name_scope("outer"), hp.conditional_scope("on", [False])):
        with pytest.raises(ZeroDivisionError), scope:
            raise ZeroDivisionError
    return [hp.Int("x", 1, 2), hp.space[-1].conditions]


SCOPES: dict[str, Case] = {
    "nested": nested,
    "left by an error": unwound,
    "the name of the parent": lambda hp: [
        hp.Choice("x", ["a", "b"]),
        hp.Int("x", 1, 2, parent_name="x", parent_values=["a"]),
    ],
    "a parent outside the scope": lambda hp: [
        hp.Boolean("on"),
        hp.name_scope("s").__enter__(),
        hp.Int("x", 1, 2),
        hp.Int("y", 1, 2, parent_name="on", parent_values=[False]),
    ],
    "a fixed parent": lambda hp: [hp.Fixed("on", 3), hp.Int("x", 1, 2, parent_name="on", parent_values=[3])],
    "a parent that is inactive itself": lambda hp: [
        hp.Choice("a", ["p", "q"]),
        hp.Choice("b", ["r", "s"], parent_name="a", parent_values=["q"]),
        hp.Int("c", 1, 2, parent_name="b", parent_values=["r"]),
    ],
    "one name, unconditional and conditional": lambda hp: [
        hp.Choice("a", ["p", "q"]),
        hp.Int("x", 1, 5),
        hp.Int("x", 7, 9, parent_name="a", parent_values=["p"]),
        hp.Int("x", 10, 12, parent_name="a", parent_values=["q"]),
        hp.get("x"),
    ],
    "no parent's name": lambda hp: hp.Int("x", 1, 2, parent_name="", parent_values=[1]),
    "what nobody has declared": lambda hp: [hp.is_active("gone"), "gone" in hp],
}


@pytest.mark.parametrize("case", SCOPES)
def test_scopes(case: str) -> None:
    the_same(SCOPES[case])


def later(hp: Plain) -> Any:
    """The parent's value is set by hand, as nobody should."""
    hp.Choice("model", ["a", "b"])
    with hp.conditional_scope("model", ["b"]):
        hp.Int("units", 4, 8)
    hp.values["model"] = "b"
    return [hp.is_active("units"), "units" in hp]


READING: dict[str, Case] = {
    "what is not there": lambda hp: hp.get("gone"),
    "what is not there, by brackets": lambda hp: hp["gone"],
    "what is inactive": lambda hp: [
        hp.Boolean("on"),
        hp.Int("x", 1, 2, parent_name="on", parent_values=[True]),
        hp.get("x"),
    ],
    "set by hand": lambda hp: [hp.values.__setitem__("x", 42), hp.get("x"), hp["x"], "x" in hp, hp.Int("x", 1, 50)],
    "all values": lambda hp: [hp.Int("x", 1, 2), hp.Boolean("y"), list(hp.values), dict(hp.values), len(hp.values)],
    "another's default": lambda hp: [hp.Int("x", 1, 9), hp.values.get("y", 5), hp.values.get("x", 5)],
    "by number": lambda hp: [hp.Int(1, 1, 9), hp.get(1), hp[1], 1 in hp, "1" in hp],
    "set by hand later on": later,
    "set by hand and asked again": lambda hp: [later(hp), hp.Int("units", 4, 8)],
}


@pytest.mark.parametrize("case", READING)
def test_reading(case: str) -> None:
    the_same(READING[case])


def spaces() -> tuple[Plain, Plain]:
    """Two with names in common."""
    first, second = Plain(), Plain()
    first.Int("x", 1, 9, default=3)
    first.Choice("model", ["a", "b"])
    second.Int("x", 5, 20)
    second.Choice("model", ["a", "b"], default="b")
    second.Float("rate", 0, 1, parent_name="model", parent_values=["b"])
    return first, second


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("listed", [False, True])
def test_merging(overwrite: bool, listed: bool) -> None:
    def case(hp: Plain) -> Any:
        for each in spaces():
            hp.merge(each.space if listed else each, overwrite=overwrite)
        return [hp.Int("x", 1, 9), "rate" in hp, hp.Int("y", 1, 2)]

    the_same(case)
    the_same(lambda hp: [hp.Int("x", 1, 9), hp.Boolean("z"), case(hp)])


def test_a_merge_keeps_what_the_trial_has() -> None:
    hp = TrialHyperParameters(lambda _, distribution, value: 8)
    hp.merge(spaces()[0].space[:1])
    hp.merge(spaces()[0].space[:1], overwrite=True)
    assert hp.values == {"x": 8}


def test_values_that_a_condition_adds_are_asked_for() -> None:
    def case(hp: Plain) -> Any:
        with hp.name_scope("s"):
            hp.Choice("model", ["a", "b"])
            hp.Fixed("old", 1, parent_name="model", parent_values=["a"])
            hp.Fixed("new", 2, parent_name="model", parent_values=["b"])
        hp.values["s/model"] = "b"
        hp.ensure_active_values()
        return dict(hp.values)

    the_same(case)
    asked = {"units": 7, "model": "a"}
    hp = TrialHyperParameters(lambda name, distribution, value: asked[name.partition("[")[0]])
    hp.Choice("model", ["a", "b"])
    for model in "ba":
        hp.Int("units", 4, 8, parent_name="model", parent_values=[model])
    hp.values = {"model": "b"}
    hp.ensure_active_values()
    assert hp.values == {"model": "b", "units": 7}
    assert dict(hp.suggested) == {"model": "a", "units[model=a]": 7, "units[model=b]": 7}


@pytest.mark.parametrize("duplicate", [Plain.copy, copy.copy, copy.deepcopy])
def test_copies(duplicate: Callable[[Plain], Plain]) -> None:
    def case(hp: Plain) -> Any:
        nested(hp)
        other = hp.copy() if duplicate is Plain.copy else duplicate(hp)
        found = [other.values, other.get_config(), other.get("outer/units"), other.Int("new", 1, 5)]
        return [*found, isinstance(other, type(hp)), "new" in hp if duplicate is not copy.copy else None]

    the_same(case)


def test_what_is_plain() -> None:
    def restored(again: Callable[[Plain], Plain]) -> Case:
        def case(hp: Plain) -> Any:
            nested(hp)
            other = again(hp)
            assert type(other) is Plain
            return [other.values, other.get_config(), other.get("outer/units"), other.Int("new", 1, 5)]

        return case

    the_same(restored(lambda hp: type(hp).from_config(hp.get_config())))
    the_same(restored(lambda hp: type(hp).from_proto(hp.to_proto())))
    the_same(restored(lambda hp: type(hp).from_proto(hp.to_proto().values)))
    the_same(restored(lambda hp: pickle.loads(pickle.dumps(hp))))  # noqa: S301
    the_same(lambda hp: [hp.values.__setitem__("x", None), hp.to_proto()])


DIFFERENT: dict[str, tuple[Case, Any, Any]] = {
    "a float's integer": (lambda hp: hp.Float("x", 0, 2, default=1), 1, 1.0),
    "a default above": (lambda hp: hp.Int("x", 1, 4, default=9), 9, 4),
    "a default between steps": (lambda hp: hp.Int("x", 0, 9, step=3, default=4), 4, 3),
    "a truth of numbers": (lambda hp: hp.Boolean("x", default=1), 1, True),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_values_are_in_their_kind_and_range(case: str) -> None:
    ask, theirs, here = DIFFERENT[case]
    assert shown([ask(Plain()), ask(ours())]) == shown([theirs, here])


def test_steps_reach_the_last_value() -> None:
    hp = Plain()
    hp.Float("x", 0, 0.6, step=0.1)
    (theirs,) = hp.space
    assert max(theirs.values) == pytest.approx(0.5)
    assert encoding_of(declared_from(theirs)).coerce(0.6) == 0.6
