"""Which configurations the image space has, without building them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import keras_tuner
import pytest

from search_spaces.base import DataSummary
from search_spaces.image import ImageSpace
from search_spaces.images.config import Augmentation
from search_spaces.images.hyperparameters import ask_framing, default_resolution, most_stages, resolutions
from tests.search_spaces.drawing import drawn_configurations

Summary = Callable[..., DataSummary]


def test_the_first_trial_on_small_images(summary: Summary) -> None:
    config = ImageSpace(summary((32, 32, 3), train=960)).configure(keras_tuner.HyperParameters())
    assert config.family == "plain"
    assert config.framing.size == (32, 32)
    assert config.framing.crop == 1.0
    assert config.augmentation == Augmentation("none", 0.1, 0.0, 0.0, 0.0, 0.0)
    assert config.mixing is None
    assert config.optimization.optimizer == "adamw"
    assert config.optimization.batch_size == 32
    assert json.loads(json.dumps(asdict(config)))["network"]["stages"] == 3


def test_hyperparameters_of_other_families_are_inactive(summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["family"] = "residual"
    hp.values["optimizer"] = "sgd"
    ImageSpace(summary((32, 32, 3))).configure(hp)
    assert "squeeze_excitation" in hp
    assert "momentum" in hp
    assert "kernel_size" not in hp
    ranges = {hp.space.index(each): each.max_value for each in hp.space if each.name == "blocks"}
    assert list(ranges.values()) == [3, 2, 3]


def test_augmentation_off_asks_for_no_strength(summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["augment"] = False
    assert ImageSpace(summary((32, 32, 3))).configure(hp).augmentation is None
    assert "rotation" not in hp


def test_declaring_asks_for_what_building_asks_for(summary: Summary) -> None:
    space = ImageSpace(summary((16, 16, 1)))
    declared, built = keras_tuner.HyperParameters(), keras_tuner.HyperParameters()
    space.declare(declared)
    space.build(built)
    assert declared.get_config() == built.get_config()


@pytest.mark.parametrize(
    ("side", "sizes", "default"),
    [
        (1, [8, 16], 16),
        (8, [8, 16], 16),
        (28, [24, 28, 32], 28),
        (32, [24, 32, 48], 32),
        (64, [48, 64, 96], 64),
        (100, [48, 64, 96, 100], 100),
        (224, [96, 128, 160, 192, 224], 128),
        (512, [96, 128, 160, 192, 224], 128),
    ],
)
def test_resolutions(side: int, sizes: list[int], default: int) -> None:
    assert resolutions(side) == sizes
    assert default_resolution(side) == default
    assert 2 <= most_stages(default) <= 5


@pytest.mark.parametrize(("side", "stages"), [(16, 3), (24, 3), (28, 3), (32, 3), (48, 3), (64, 3), (128, 4), (224, 5)])
def test_the_last_stage_sees_about_four_places(side: int, stages: int) -> None:
    assert most_stages(side) == stages


@pytest.mark.parametrize(("shape", "size"), [((1, 1000, 1), (1, 1000)), ((300, 1000, 3), (128, 427))])
def test_a_flat_array_does_not_grow(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    assert ask_framing(keras_tuner.HyperParameters(), shape, ["plain"]).size == size


@pytest.mark.parametrize(
    ("side", "asked"), [(8, []), (23, []), (24, [1, 2]), (47, [1, 2]), (48, [2, 4]), (64, [2, 4]), (512, [2, 4])]
)
def test_the_first_stage_has_12_to_32_pixels(side: int, asked: list[int], summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    network = ImageSpace(summary((side, side, 3))).configure(hp).network
    assert network is not None
    assert [each.values for each in hp.space if each.name == "stem_stride"] == ([asked] if asked else [])
    assert network.stem_stride == (asked or [1])[-1]
    assert side < 12 or 12 <= default_resolution(side) / network.stem_stride <= 32


def test_the_aspect_ratio_is_kept(summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["resolution"] = 48
    assert ImageSpace(summary((96, 64, 3))).configure(hp).framing.size == (72, 48)


@pytest.mark.parametrize(
    ("examples", "wanted", "default", "sizes"),
    [
        (20, 32, 8, [8]),
        (96, 32, 8, [8]),
        (100, 10, 10, [8, 10]),
        (200, 32, 16, [16]),
        (640, 32, 32, [16, 32, 64]),
        (50_000, 48, 48, [16, 32, 48, 64, 128]),
    ],
)
def test_an_epoch_has_ten_steps(examples: int, wanted: int, default: int, sizes: list[int], summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    network = ImageSpace(summary((8, 8, 1), train=examples), batch_size=wanted).configure(hp).network
    assert hp.get("batch_size") == default
    assert next(each for each in hp.space if each.name == "batch_size").values == sizes
    # After an epoch, little is left of the statistics from before it.
    assert network is not None
    assert network.momentum ** math.ceil(examples / default) < 0.11


def test_what_two_classes_are_not_asked(summary: Summary) -> None:
    asked = keras_tuner.HyperParameters()
    ImageSpace(summary((32, 32, 3), classes=2)).configure(asked)
    assert "mixing" not in asked
    assert "label_smoothing" not in asked


@pytest.mark.parametrize(
    ("counts", "default"), [((50, 50), None), ((90, 10), "sqrt"), ((50, 50, 20), None), ((90, 90, 20), "none")]
)
def test_class_weights_are_asked_for_where_a_class_is_rare(
    counts: tuple[int, ...], default: str | None, image_summary: Summary
) -> None:
    hp = keras_tuner.HyperParameters()
    names = tuple(f"class {number}" for number in range(len(counts)))
    ImageSpace(image_summary((8, 8, 1), names, {"train": sum(counts), "validation": 20}, counts)).configure(hp)
    assert hp.values.get("class_weight") == default


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": ["plain", "vit"]}, "families must be a list of plain, residual"),
        ({"families": []}, "families must be a list of"),
        ({"families": "plain"}, "families must be a list of"),
        ({"families": ["pretrained"]}, "pretrained is False and families are pretrained"),
        ({"families": ["plain"], "pretrained": True}, "pretrained is True and families are plain"),
        ({"max_width": 12}, "max_width must be a multiple of 8"),
        ({"weights": "/some/file.h5"}, "weights must be 'imagenet' or null"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str, summary: Summary) -> None:
    with pytest.raises(ValueError, match=message):
        ImageSpace(summary((32, 32, 3)), **options)


def test_data_that_is_not_images_in_classes(summary: Summary) -> None:
    with pytest.raises(ValueError, match=r"\(height, width, channels\), not \(10,\)"):
        ImageSpace(summary((10,)))
    with pytest.raises(ValueError, match="at least two classes, not 1"):
        ImageSpace(summary((32, 32, 3), classes=1))


def test_one_family(summary: Summary) -> None:
    hp = keras_tuner.HyperParameters()
    config = ImageSpace(summary((32, 32, 3)), families=["separable"]).configure(hp)
    assert config.family == "separable"
    assert config.network is not None


def test_every_configuration_can_be_asked_for(summary: Summary) -> None:
    """Random values of every hyperparameter, as KerasTuner draws them, give a whole configuration."""
    space = ImageSpace(summary((48, 64, 3)))
    families = set()
    for config in drawn_configurations(space, 200):
        families.add(config.family)
        assert config.network is not None
        assert config.optimization.momentum is None or config.optimization.optimizer == "sgd"
    assert families == {"plain", "residual", "separable"}
