"""The text space through the bridge: what a study of it asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest

from search_spaces.text import TextSpace
from tests.prepared_texts import write_texts
from tuner.data.prepared import TargetFacts
from tuner.data.summary import summary_of
from tuner.hyperparameters import Suggest, TrialHyperParameters, explore

Answers = Callable[[optuna.Trial], Suggest]


@pytest.fixture
def space(tmp_path: Path) -> TextSpace:
    target = TargetFacts(task="classification", dtype="int64", class_names=("ham", "spam"))
    texts = ["a few words", "and a few more of them"] * 20
    labels = (np.arange(40) % 10 == 0).astype(np.int64)
    data = write_texts(tmp_path / "prepared", {"train": (texts, labels), "validation": (texts, labels)}, target)
    return TextSpace(summary_of(data))


def test_a_study_asks_for_nothing_that_the_listing_lacks(
    space: TextSpace, study: optuna.Study, answers: Answers
) -> None:
    listed = {each.optuna_name for each in explore(space.declare)}
    for number in range(40):
        trial = study.ask()
        # In turn: a sampler that learns may leave a family out.
        given = {"family": space.families[number % len(space.families)]}
        hp = TrialHyperParameters(answers(trial), given, use_defaults=number == 0)
        assert space.configure(hp).family == given["family"]
        assert set(hp.suggested) <= listed
        study.tell(trial, 0.0)


def test_names_say_when_a_hyperparameter_is_active(space: TextSpace) -> None:
    names = [each.optuna_name for each in explore(space.declare)]
    assert {"weighting[family=linear|bag]", "vocabulary[family=linear|bag,token=words|both]"} <= set(names)
    assert "class_weight" in names
    assert {"cell[family=recurrent]", "learning_rate[family=bag|pooling]"} <= set(names)
    assert len(names) == len(set(names))
