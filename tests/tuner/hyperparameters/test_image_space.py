"""The image space through the bridge: what a study of it asks for."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest

from search_spaces.base import DataSummary
from search_spaces.image import ImageSpace
from tuner.hyperparameters import Suggest, TrialHyperParameters, explore
from tuner.launch.presets import portfolio_of

Answers = Callable[[optuna.Trial], Suggest]


@pytest.fixture
def space(pretrained: bool, image_summary: Callable[..., DataSummary]) -> ImageSpace:
    data = image_summary((32, 32, 3), ("cat", "dog"), {"train": 100, "validation": 20}, (50, 50))
    return ImageSpace(data, pretrained=pretrained, weights=None)


@pytest.mark.parametrize("pretrained", [False, True])
def test_a_study_asks_for_nothing_that_the_listing_lacks(
    space: ImageSpace, study: optuna.Study, answers: Answers
) -> None:
    listed = {each.optuna_name for each in explore(space.declare)}
    families = set()
    for number in range(30):
        trial = study.ask()
        hp = TrialHyperParameters(answers(trial), use_defaults=number == 0)
        families.add(space.configure(hp).family)
        assert set(hp.suggested) <= listed
        study.tell(trial, 0.0)
    assert len(families) > 1


@pytest.mark.parametrize("pretrained", [False])
def test_names_say_when_a_hyperparameter_is_active(space: ImageSpace) -> None:
    names = [each.optuna_name for each in explore(space.declare)]
    assert {"learning_rate[optimizer=adamw]", "learning_rate[optimizer=sgd]"} <= set(names)
    assert {"blocks[family=plain]", "blocks[family=residual]", "width", "batch_size"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("side", [28, 32, 64, 224])
def test_images_of_every_usual_size_have_the_whole_portfolio(
    side: int, image_summary: Callable[..., DataSummary]
) -> None:
    names = ("cat", "dog", "owl")
    space = ImageSpace(image_summary((side, side, 3), names, {"train": 960, "validation": 20}, (320, 320, 320)))
    listed = [each.as_dict() for each in explore(space.declare)]
    assert 4 <= len(space.portfolio) <= 6
    assert portfolio_of(listed, space.portfolio) == list(space.portfolio)
