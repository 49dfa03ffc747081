"""Which configurations the structured space has, without building them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import keras_tuner
import pytest

from search_spaces.base import DataSummary, Input, Target
from search_spaces.statistics import CategoryStatistics, NumberStatistics, TargetStatistics, Thresholds
from search_spaces.structured import StructuredSpace
from search_spaces.tables.columns import NumberColumn
from search_spaces.tables.config import FAMILIES, PLAIN, Boosting, Numbers, StructuredConfig
from search_spaces.tables.hyperparameters import batch_sizes
from tests.search_spaces.drawing import drawn_configurations

NUMBER = NumberStatistics(0, 1000, 0.0, 1.0, tuple(index / 100 for index in range(101)))


def _summary(numbers: int = 2, vocabularies: tuple[int, ...] = (), counts: tuple[int, ...] = (60, 40)) -> DataSummary:
    inputs = [Input(f"n{index}", "number", (), "float32", NUMBER) for index in range(numbers)]
    for index, size in enumerate(vocabularies):
        values = CategoryStatistics(0, tuple(f"v{value}" for value in range(size)), (2,) * size)
        inputs.append(Input(f"c{index}", "category", (), "string", values))
    names = tuple(f"class {index}" for index in range(len(counts)))
    target = Target("", "classification", (), "int64", names, counts)
    return DataSummary("csv", tuple(inputs), (target,), {"train": sum(counts), "validation": 20}, structure="dict")


def _choices(hp: keras_tuner.HyperParameters, name: str) -> list[Any]:
    return [each.values for each in hp.space if each.name == name]


def _asked(data: DataSummary, **options: Any) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    StructuredSpace(data, **{"families": PLAIN[:-1]} | options).configure(hp)
    return hp


def test_the_first_trial_is_of_trees_as_scikit_learn_grows_them() -> None:
    hp = keras_tuner.HyperParameters()
    config = StructuredSpace(_summary(vocabularies=(3, 30))).configure(hp)
    assert config == StructuredConfig("boosted", boosting=Boosting(0.1, 31, 20, 0.0, columns_share=0.5))
    assert hp.values["family"] == "boosted"
    assert not {"numbers", "optimizer", "units"} & set(hp.values)


def test_many_classes_have_no_trees_unless_they_are_asked_for() -> None:
    data = _summary(counts=(2,) * 41)
    assert StructuredSpace(data).families == FAMILIES[1:]
    assert StructuredSpace(data, families=["boosted", "mlp"]).families == ("boosted", "mlp")
    assert StructuredSpace(_summary(counts=(2,) * 40)).families[0] == "boosted"


def test_the_first_trial_of_networks() -> None:
    config = StructuredSpace(_summary(vocabularies=(3, 30)), families=PLAIN).configure(keras_tuner.HyperParameters())
    assert config.family == "mlp"
    assert config.numbers is not None
    assert (config.numbers.encoding, config.numbers.edges) == ("piecewise", "trees")
    assert config.categories is not None
    assert (config.categories.one_hot_up_to, config.categories.crosses) == (16, 0)
    assert config.network is not None
    assert (config.network.layers, config.network.units) == (2, 128)
    assert config.optimization is not None
    assert config.optimization.optimizer == "adamw"
    assert json.loads(json.dumps(asdict(config)))["optimization"]["batch_size"] == 8


@pytest.mark.parametrize("by_loss", [False, True])
def test_losses_that_trials_are_compared_by_mean_the_same_in_all(by_loss: bool) -> None:
    rare = _summary(counts=(95, 5))
    skewed = TargetStatistics((5.0,), (25.0,), (0.0,), (2.0,))
    numbers = replace(rare, targets=(Target("", "regression", (), "float32", statistics=skewed),))
    asked: dict[str, Any] = {}
    for data in (rare, numbers):
        space = StructuredSpace(data, families=["realmlp"])
        space.judged_by_loss = by_loss
        hp = keras_tuner.HyperParameters()
        space.configure(hp)
        asked |= hp.values
    assert ("label_smoothing" in asked, "target_scale" in asked) == (not by_loss, not by_loss)
    assert asked["class_weight"] == ("none" if by_loss else "sqrt")


@pytest.mark.parametrize(("examples", "sizes"), [(50, [8]), (100, [8]), (200, [16]), (320, [32]), (700, [32, 64])])
def test_an_epoch_has_ten_steps_or_batches_of_eight(examples: int, sizes: list[int]) -> None:
    assert batch_sizes(examples, 32) == sizes


def test_edges_among_distinct_values_reach_from_the_smallest_to_the_largest() -> None:
    column = NumberColumn("x", False, 0.0, 1.0, (-1.0, *(0.0,) * 99, 5.0), Thresholds((), (0.0,)))
    assert column.edges(Numbers("binned", bins=8, edges="distinct")) == [-1.0, 0.0, 5.0]


def test_only_what_the_columns_leave_open_is_asked() -> None:
    asked = {each.name for each in _asked(_summary()).space}
    assert not asked & {"one_hot_up_to", "embedding_size", "most_values", "crosses", "class_weight"}
    asked = {each.name for each in _asked(_summary(numbers=0, vocabularies=(3,))).space}
    assert not asked & {"numbers", "bins", "one_hot_up_to", "embedding_size", "most_values", "crosses"}
    hp = _asked(_summary(vocabularies=(3, 5, 30, 2000)))
    assert _choices(hp, "one_hot_up_to") == [[4, 16, 64]]
    assert _choices(hp, "most_values") == [[100, 1000, 10_000]]
    assert _choices(hp, "crosses") == [[0, 3, 10]]
    assert _choices(_asked(_summary(vocabularies=(3, 500))), "most_values") == [[100, 1000]]


def test_wide_tables_have_no_layer_for_each_column_and_bounded_inputs() -> None:
    assert _choices(_asked(_summary(numbers=101)), "numbers") == [
        ["standard", "log", "quantile", "robust", "periodic", "piecewise"]
    ]
    assert _choices(_asked(_summary(numbers=300)), "bins") == [[8, 16]]
    assert _choices(_asked(_summary(numbers=2000)), "numbers") == [["standard", "log", "quantile", "robust"]]


@pytest.mark.parametrize(("counts", "asked"), [((81, 19), True), ((79, 21), False), ((90, 5, 5), False)])
def test_class_weights_are_tried_where_one_of_two_classes_is_rare(counts: tuple[int, ...], asked: bool) -> None:
    assert ("class_weight" in _asked(_summary(counts=counts))) == asked


@pytest.mark.parametrize(
    ("examples", "smallest", "sizes", "default"),
    [
        (10, 32, [8], 8),
        (1378, 32, [32, 64, 128], 32),
        (20_000, 32, [32, 64, 128, 256, 512, 1024], 128),
        (10**7, 50, [50, 100, 200, 400, 800], 800),
    ],
)
def test_batch_sizes_grow_with_the_table(examples: int, smallest: int, sizes: list[int], default: int) -> None:
    assert batch_sizes(examples, smallest) == sizes
    data = replace(_summary(), examples={"train": examples, "validation": 10})
    assert _asked(data, batch_size=smallest).get("batch_size") == default


def test_regression_has_no_label_smoothing() -> None:
    data = replace(_summary(), targets=(Target("", "regression", (), "float32"),))
    assert "label_smoothing" not in _asked(data)


def test_declaring_asks_for_what_building_asks_for() -> None:
    space = StructuredSpace(_summary(vocabularies=(3, 30)))
    declared, built = keras_tuner.HyperParameters(), keras_tuner.HyperParameters()
    space.declare(declared)
    space.build(built)
    assert declared.get_config() == built.get_config()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"structure": "single"}, "takes a dict of named columns"),
        ({"targets": ()}, "needs a label column"),
        ({"targets": (Target("", "classification", (), "int64", ("a",), (3,)),)}, "at least two classes, not 1"),
        ({"families": ["mlp", "tree"]}, "families must be a list of boosted, tabm, realmlp, mlp, residual"),
        ({"families": []}, "families must be a list of"),
        ({"families": "mlp"}, "families must be a list of"),
    ],
)
def test_what_cannot_be(changed: dict[str, Any], message: str) -> None:
    options = {name: changed[name] for name in changed if name == "families"}
    data = replace(_summary(), **{name: value for name, value in changed.items() if name != "families"})
    with pytest.raises(ValueError, match=message):
        StructuredSpace(data, **options)


@pytest.mark.parametrize("vocabularies", [(), (3, 2000)])
def test_every_configuration_can_be_asked_for(vocabularies: tuple[int, ...]) -> None:
    """Random values of every hyperparameter, as KerasTuner draws them, give a whole configuration."""
    space = StructuredSpace(_summary(vocabularies=vocabularies, counts=(90, 10)), families=FAMILIES)
    families = set()
    for config in drawn_configurations(space, 100):
        families.add(config.family)
        assert (config.network is None) == (config.family in ("linear", "boosted"))
        assert (config.boosting is None) == (config.family != "boosted") == (config.optimization is not None)
        assert config.network is None or (config.network.cross_layers > 0) == (config.family == "cross")
        assert config.network is None or (config.network.members > 1) == (config.family == "tabm")
        assert config.categories is None or config.categories.crosses == 0 or config.family == "wide_and_deep"
    assert families == set(FAMILIES)
