"""The structured space through the bridge: what a study of it asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces.structured import StructuredSpace
from search_spaces.tables.config import FAMILIES
from search_spaces.tables.portfolio import PORTFOLIO
from tuner.data.prepared import TargetFacts
from tuner.data.summary import summary_of
from tuner.hyperparameters import Suggest, TrialHyperParameters, default_of, explore
from tuner.launch.presets import portfolio_of

Answers = Callable[[optuna.Trial], Suggest]


@pytest.fixture
def space(table_data: Callable[..., Any]) -> StructuredSpace:
    draw = np.random.default_rng(0)
    columns = {
        "number": draw.normal(size=3000).astype("float32"),
        "small": draw.choice(["a", "b", "c"], 3000).tolist(),
        "large": [f"v{value}" for value in draw.integers(0, 200, 3000)],
    }
    facts = TargetFacts(task="classification", dtype="int64", class_names=("no", "yes"))
    data = table_data(columns, (np.arange(3000) % 10 == 0).astype("int64"), facts)
    return StructuredSpace(summary_of(data), families=FAMILIES)


def test_a_study_asks_for_nothing_that_the_listing_lacks(
    space: StructuredSpace, study: optuna.Study, answers: Answers
) -> None:
    listed = {each.optuna_name for each in explore(space.declare)}
    families = set()
    for number in range(30):
        trial = study.ask()
        hp = TrialHyperParameters(answers(trial), use_defaults=number == 0)
        families.add(space.configure(hp).family)
        assert set(hp.suggested) <= listed
        study.tell(trial, 0.0)
    assert families == set(space.families)


def test_names_say_when_a_hyperparameter_is_active(space: StructuredSpace) -> None:
    names = [each.optuna_name for each in explore(space.declare)]
    assert {"crosses[family=wide_and_deep]", "cross_layers[family=cross]", "family", "class_weight"} <= set(names)
    assert {"leaves[family=boosted]", "boosting_rate[family=boosted]"} <= set(names)
    plain = "family=mlp|residual|wide_and_deep|cross|linear"
    networks = "family=tabm|realmlp|" + plain.removeprefix("family=")
    assert {f"numbers[{plain}]", f"embedding_size[{networks}]", f"batch_size[{plain}]"} <= set(names)
    assert {"members[family=tabm]", "numbers[family=realmlp]", "edges[family=tabm,numbers=piecewise|binned]"} <= set(
        names
    )
    assert f"large_vocabularies[{networks},most_values=100]" in names
    assert any(name.startswith("units[family=") and "linear" not in name for name in names)
    assert any(name.startswith(f"bins[{plain},numbers=") for name in names)
    assert len(names) == len(set(names))


def test_a_search_begins_with_the_whole_portfolio(space: StructuredSpace) -> None:
    listed = [each.as_dict() for each in explore(space.declare)]
    # Classes have no scale, and of three columns every node sees all.
    lacking = {"target_scale", "columns_share"}
    expected = [{name: value for name, value in each.items() if name not in lacking} for each in PORTFOLIO]
    assert portfolio_of(listed, PORTFOLIO) == expected
    for given in expected:
        hp = TrialHyperParameters(default_of, given, use_defaults=True)
        assert space.configure(hp).family == given["family"]
        assert not hp.unused_preset
