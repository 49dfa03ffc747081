"""Which configurations the text space has, without building them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import keras_tuner
import numpy as np
import pytest

from search_spaces.base import DataSummary, Input, Target
from search_spaces.statistics import TargetStatistics, TextStatistics, TokenCounts, Tokenization
from search_spaces.text import TextSpace
from search_spaces.texts.config import BAGS, FAMILIES, Bag
from search_spaces.texts.hyperparameters import lengths, vocabularies
from tests.search_spaces.drawing import drawn_configurations

Texts = Callable[..., DataSummary]


def _distinct(tokenization: Tokenization, most: int | None = None) -> TokenCounts:
    """Counts of texts with so many different tokens, which nobody looks at here."""
    nothing = np.zeros(0, np.int64)
    many = 900 if tokenization.split == "character" else 3_000 * (tokenization.ngrams or 1)
    return TokenCounts((), nothing, nothing, 400, distinct=many)


@pytest.fixture
def texts() -> Texts:
    """What is known about a made-up data set of texts."""

    def make(target: Target | None = None, longest: int = 100, train: int = 400) -> DataSummary:
        words = tuple(round(share * longest / 100) for share in range(101))
        text = Input("", "text", (), "string", TextStatistics(words, words))
        target = target or Target("", "classification", (), "int64", ("a", "b", "c"), (200, 100, 100))
        examples = {"train": train, "validation": 100}
        return DataSummary("csv", (text,), (target,), examples, count_tokens=_distinct)

    return make


def test_the_first_trial(texts: Texts) -> None:
    config = TextSpace(texts()).configure(keras_tuner.HyperParameters())
    assert config.family == "linear"
    words, characters = config.vectorizations
    assert (words.tokenization.split, words.tokenization.ngrams) == ("whitespace", 1)
    # 6,000 words and pairs of words: the smallest size that takes in all.
    assert (words.weighting, words.vocabulary) == ("log_tf_idf", 10_000)
    assert (characters.tokenization.split, characters.tokenization.ngrams) == ("character", 5)
    assert characters.tokenization.standardize == "lower"
    assert config.bag == Bag(unit_length=True, ratios=True)
    assert (config.sequence, config.body, config.class_weight) == (None, None, None)
    assert json.loads(json.dumps(asdict(config)))["optimization"] is None


def test_batches_are_larger_where_there_are_many_texts(texts: Texts) -> None:
    for examples, size in ((400, 32), (3_000, 128)):
        hp = keras_tuner.HyperParameters()
        hp.values["family"] = "pooling"
        optimization = TextSpace(texts(train=examples)).configure(hp).optimization
        assert optimization is not None and optimization.batch_size == size


@pytest.mark.parametrize(("token", "splits"), [("words", ["whitespace"]), ("characters", ["character"])])
def test_a_bag_of_one_kind_of_tokens(texts: Texts, token: str, splits: list[str]) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["token"] = token
    assert [each.tokenization.split for each in TextSpace(texts()).configure(hp).vectorizations] == splits


@pytest.mark.parametrize(
    ("distinct", "most", "sizes"),
    [
        (1, 40_000, [500]),
        (501, 40_000, [500, 1000]),
        (3_000, 40_000, [500, 1000, 2500, 5000]),
        (10**9, 40_000, [500, 1000, 2500, 5000, 10_000, 20_000, 40_000]),
        (10**9, 3_000, [500, 1000, 2500, 3000]),
        (10**9, 100, [100]),
    ],
)
def test_vocabularies_are_bounded_by_the_data_and_by_the_option(distinct: int, most: int, sizes: list[int]) -> None:
    assert vocabularies(distinct, most) == sizes


@pytest.mark.parametrize(
    ("longest", "sizes"),
    [(0, [8]), (10, [8, 16]), (100, [56, 80, 96, 104]), (10_000, [512])],
)
def test_lengths_are_those_of_the_texts(texts: Texts, longest: int, sizes: list[int]) -> None:
    data = texts(longest=longest)
    assert lengths(data.inputs[0].statistics) == sizes
    hp = keras_tuner.HyperParameters()
    hp.values["family"] = "pooling"
    assert TextSpace(data).configure(hp).vectorizations[0].length in sizes


def test_lengths_where_nothing_is_known_of_the_texts(texts: Texts) -> None:
    data = texts()
    unknown = replace(data, inputs=(replace(data.inputs[0], statistics=None),))
    hp = keras_tuner.HyperParameters()
    hp.values["family"] = "recurrent"
    assert TextSpace(unknown).configure(hp).vectorizations[0].length == 256


def test_hyperparameters_of_other_families_are_inactive(texts: Texts) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["family"] = "convolution"
    config = TextSpace(texts()).configure(hp)
    assert config.bag is None
    assert config.vectorizations[0].weighting is None
    assert "filters" in hp
    assert not {"cell", "heads", "token", "ngrams", "hidden_units"} & {name for name in hp.values if name in hp}
    assert hp.get("learning_rate") == 1e-3


def test_a_linear_model_has_no_hidden_units(texts: Texts) -> None:
    hp = keras_tuner.HyperParameters()
    config = TextSpace(texts()).configure(hp)
    assert config.bag is not None
    assert config.bag.units == () and "hidden_units" not in hp
    deep = keras_tuner.HyperParameters()
    deep.values |= {"family": "bag", "hidden_layers": 2}
    assert TextSpace(texts()).configure(deep).bag == Bag(unit_length=True, units=(64, 64))


def test_many_classes_have_no_linear_model_and_numbers_no_ratios(texts: Texts) -> None:
    names = tuple(f"class {number}" for number in range(41))
    many = Target("", "classification", (), "int64", names, (10,) * 41)
    assert TextSpace(texts(many)).families == FAMILIES[1:]
    number = Target("", "regression", (), "float32", statistics=TargetStatistics((0.0,), (1.0,)))
    hp = keras_tuner.HyperParameters()
    assert TextSpace(texts(number)).configure(hp).bag == Bag(unit_length=True)
    assert "ratios" not in hp


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        (Target("", "classification", (), "int64", ("a", "b"), (350, 50)), True),
        (Target("", "classification", (), "int64", ("a", "b"), (200, 200)), False),
        (Target("", "classification", (), "int64", ("a", "b", "c"), (380, 10, 10)), False),
        (Target("", "multi_label", (2,), "float32", ("a", "b"), (350, 50)), False),
    ],
)
def test_class_weights_are_asked_for_where_one_of_two_classes_is_rare(
    target: Target, asked: bool, texts: Texts
) -> None:
    hp = keras_tuner.HyperParameters()
    config = TextSpace(texts(target)).configure(hp)
    assert (config.class_weight == "none") == asked
    assert ("class_weight" in hp) == asked


def test_regression_smooths_no_labels(texts: Texts) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["family"] = "bag"
    config = TextSpace(texts(Target("", "regression", (), "float32"))).configure(hp)
    assert "label_smoothing" not in hp
    assert config.optimization.label_smoothing == 0


def test_batch_sizes_do_not_exceed_the_data(texts: Texts) -> None:
    hp = keras_tuner.HyperParameters()
    TextSpace(texts(train=40), batch_size=10).configure(hp)
    assert next(each for each in hp.space if each.name == "batch_size").values == [10, 16, 32]


def test_each_tokenization_is_counted_once(texts: Texts) -> None:
    counted = []

    def count(tokenization: Tokenization, most: int | None = None) -> TokenCounts:
        counted.append(tokenization)
        return _distinct(tokenization, most)

    space = TextSpace(replace(texts(), count_tokens=count))
    assert not counted
    for _ in range(3):
        space.declare(keras_tuner.HyperParameters())
    assert len(counted) == len(set(counted)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": ["bag", "markov"]}, "families must be a list of linear, bag, pooling"),
        ({"families": []}, "families must be a list of"),
        ({"families": "bag"}, "families must be a list of"),
        ({"max_vocabulary": 0}, "max_vocabulary must be at least 1"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str, texts: Texts) -> None:
    with pytest.raises(ValueError, match=message):
        TextSpace(texts(), **options)


def test_data_that_is_not_one_text_with_a_target(texts: Texts) -> None:
    data = texts()
    number = Input("age", "number", (), "float32")
    with pytest.raises(ValueError, match="takes one text; the data has text, number"):
        TextSpace(replace(data, inputs=(*data.inputs, number), structure="dict"))
    with pytest.raises(ValueError, match="at least two classes, not 1"):
        TextSpace(texts(Target("", "classification", (), "int64", ("a",), (3,))))
    with pytest.raises(ValueError, match="needs labels"):
        TextSpace(replace(data, targets=()))


def test_one_family(texts: Texts) -> None:
    hp = keras_tuner.HyperParameters()
    config = TextSpace(texts(), families=["transformer"]).configure(hp)
    assert config.family == "transformer"
    assert not any(each.conditions for each in hp.space)


def test_every_configuration_can_be_asked_for(texts: Texts) -> None:
    """Random values of every hyperparameter, as KerasTuner draws them, give a whole configuration."""
    space = TextSpace(texts())
    families = set()
    for config in drawn_configurations(space, 200):
        families.add(config.family)
        assert (config.bag is None) != (config.sequence is None)
        assert (config.body is None) == (config.family in ("linear", "bag", "pooling"))
        assert all((each.length is None) == (config.family in BAGS) for each in config.vectorizations)
    assert families == set(FAMILIES)
