"""Asks for the hyperparameters of the image space. Every default is a good first trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras_tuner

from search_spaces.base import Target
from search_spaces.families import only_for
from search_spaces.images.backbones import BACKBONES
from search_spaces.images.config import (
    Augmentation,
    Backbone,
    Family,
    Framing,
    Head,
    Network,
)
from search_spaces.images.mixing import Mixing
from search_spaces.optimization import Optimization
from search_spaces.targets import imbalanced

_SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224)
_LARGEST = 224
# Below this, detail is so scarce that a larger copy helps; above, a smaller one saves time.
_SMALL = 64
_BATCH_SIZES = (8, 16, 32, 64, 128)
# With fewer steps an epoch teaches little, and early stopping counts epochs.
_FEWEST_STEPS = 10
# At most so much of the statistics from before an epoch is left after it: else validation lags behind for epochs.
# Less would make them those of the last batch, which may be of one image.
_LEFT_OF_STATISTICS = 0.1
_LARGEST_MOMENTUM = 0.9
# Of several classes, the largest has so many times the examples of the smallest.
_UNEVEN = 3


def ask_family(hp: keras_tuner.HyperParameters, families: Sequence[Family]) -> Family:
    default = "pretrained" if "pretrained" in families else families[0]
    return hp.Choice("family", list(families), default=default)


def ask_framing(hp: keras_tuner.HyperParameters, shape: Sequence[int], families: Sequence[Family]) -> Framing:
    """Asks how images of ``shape``, (height, width, channels), are cropped and resized."""
    side = min(shape[:2])
    own = [each for each in families if each != "pretrained"]
    if own:
        with only_for(hp, own, families):
            hp.Choice("resolution", resolutions(side), default=default_resolution(side))
    if "pretrained" in families:
        sizes = [size for size in _SIZES if 96 <= size <= max(96, 3 * side)]
        with only_for(hp, ["pretrained"], families):
            hp.Choice("resolution", sizes, default=160 if side > 96 else 96)
    crop = hp.Choice("center_crop", [0.875, 1.0], default=1.0) if side >= 32 else 1.0
    # A flat array would become as much longer as its short side does.
    scale = min(hp.get("resolution") / side, max(1.0, _LARGEST / max(shape[:2])))
    return Framing(crop, (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))))


def resolutions(side: int) -> list[int]:
    """The lengths in pixels that the short side, ``side``, may be resized to."""
    if side <= _SMALL:
        lowest, highest = side / 1.5, max(side * 1.5, 16)
    else:
        lowest, highest = min(side / 2.5, 96), min(side, _LARGEST)
    sizes = {size for size in _SIZES if lowest <= size <= highest}
    return sorted(sizes | ({side} if _SIZES[0] <= side <= _LARGEST else set()))


def default_resolution(side: int) -> int:
    """The length of the short side in the first trial."""
    sizes = resolutions(side)
    if side < 16:
        return sizes[-1]
    return side if side <= _SMALL else max(size for size in sizes if size <= 128)


def ask_augmentation(hp: keras_tuner.HyperParameters) -> Augmentation | None:
    active = hp.Boolean("augment", default=True)
    with hp.conditional_scope("augment", [True]):
        # Digits and letters must not be flipped, and nothing here says what the images show.
        strengths = {
            "flip": hp.Choice("flip", ["none", "horizontal", "horizontal_and_vertical"]),
            "translation": hp.Float("translation", 0.0, 0.2, step=0.05, default=0.1),
            "rotation": hp.Float("rotation", 0.0, 0.1, step=0.02, default=0.0),
            "zoom": hp.Float("zoom", 0.0, 0.3, step=0.1, default=0.0),
            "contrast": hp.Float("contrast", 0.0, 0.4, step=0.1, default=0.0),
            "erasing": hp.Float("erasing", 0.0, 0.5, step=0.25, default=0.0),
        }
    return Augmentation(**strengths) if active else None


def ask_mixing(hp: keras_tuner.HyperParameters, target: Target) -> Mixing | None:
    """Asks how training images and their labels are mixed, where there are more than two classes.

    The metrics of two classes know no shares of a class.
    """
    if target.task != "classification" or len(target.class_names) < 3:
        return None
    mixing = hp.Choice("mixing", ["none", "mixup", "cutmix"])
    return None if mixing == "none" else mixing


def ask_class_weight(hp: keras_tuner.HyperParameters, target: Target) -> None:
    """Asks for ``class_weight`` if a class is rare; it is read where the weights of examples are made."""
    counts = target.class_counts
    if imbalanced(counts):
        hp.Choice("class_weight", ["none", "sqrt", "balanced"], default="sqrt")
    elif target.task == "classification" and max(counts, default=0) > _UNEVEN * min(counts, default=0):
        hp.Choice("class_weight", ["none", "sqrt", "balanced"])


def ask_network(
    hp: keras_tuner.HyperParameters, family: Family, side: int, families: Sequence[Family], steps: int
) -> Network | None:
    """Asks for networks of all ``families``; gives that of ``family``, None if it is pretrained.

    Args:
        side: the short side of the input in pixels.
        steps: of an epoch.
    """
    own = [each for each in families if each != "pretrained"]
    if not own:
        return None
    input_side = default_resolution(side)
    most, strides = most_stages(input_side), stem_strides(input_side)
    with only_for(hp, own, families):
        asked: dict[str, Any] = {
            "stem_stride": hp.Choice("stem_stride", strides, default=strides[-1]) if len(strides) > 1 else strides[0],
            "stages": hp.Int("stages", 2, most, default=min(most, 4)),
            "width": hp.Choice("width", [24, 32, 48], default=32),
            "normalization": hp.Choice("normalization", ["batch", "group"]),
            "activation": hp.Choice("activation", ["relu", "silu"]),
        }
    for each in own:
        with only_for(hp, [each], families):
            # A residual block has two convolutions, the others' have one.
            hp.Int("blocks", 1, 2 if each == "residual" else 3, default=1 if each == "residual" else 2)
            if each == "residual":
                asked["squeeze_excitation"] = bool(hp.Boolean("squeeze_excitation"))
            if each == "separable":
                asked["kernel_size"] = hp.Choice("kernel_size", [3, 5]) or 3
    if family == "pretrained":
        return None
    momentum = min(_LEFT_OF_STATISTICS ** (1 / steps), _LARGEST_MOMENTUM)
    return Network(blocks=hp.get("blocks"), momentum=momentum, **asked)


def most_stages(side: int) -> int:
    """So many that the last of a network for ``side`` pixels, with its largest stride, sees about 4 x 4 places."""
    return min(max(round(math.log2(side / stem_strides(side)[-1] / 4)) + 1, 2), 5)


def stem_strides(side: int) -> list[int]:
    """How much smaller than the input, whose short side is ``side``, the first stage may be; the default is the last.

    The default leaves it 12 to 32 pixels: at full size, its few filters would take most of the time.
    """
    return [1] if side < 24 else [1, 2] if side < 48 else [2, 4]


def ask_backbone(hp: keras_tuner.HyperParameters, family: Family, families: Sequence[Family]) -> Backbone | None:
    if "pretrained" not in families:
        return None
    with only_for(hp, ["pretrained"], families):
        name = hp.Choice("backbone", list(BACKBONES))
        fine_tune = hp.Boolean("fine_tune", default=False)
    return Backbone(name, fine_tune) if family == "pretrained" else None


def ask_head(hp: keras_tuner.HyperParameters) -> Head:
    return Head(
        pooling=hp.Choice("pooling", ["avg", "max"]),
        units=hp.Choice("dense_units", [0, 128], default=0),
        dropout=hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2),
    )


def ask_optimization(
    hp: keras_tuner.HyperParameters,
    families: Sequence[Family],
    target: Target,
    examples: int,
    batch_size: int,
    *,
    smooth: bool = True,
) -> Optimization:
    """Asks for the optimizer and everything around it.

    Args:
        examples: the number of training examples.
        batch_size: the default, unless an epoch would have too few steps.
        smooth: whether labels may be smoothed.
    """
    own = [each for each in families if each != "pretrained"]
    if own:
        with only_for(hp, own, families):
            _ask_optimizer(hp)
    if "pretrained" in families:
        with only_for(hp, ["pretrained"], families):
            hp.Fixed("optimizer", "adamw")
            hp.Float("learning_rate", 1e-5, 1e-2, sampling="log", default=1e-3)
            hp.Float("weight_decay", 1e-4, 1e-1, sampling="log", default=1e-2)
    several = smooth and (target.task != "classification" or len(target.class_names) > 2)
    sizes = batch_sizes(examples, batch_size)
    return Optimization(
        optimizer=hp.get("optimizer"),
        learning_rate=hp.get("learning_rate"),
        weight_decay=hp.get("weight_decay"),
        momentum=hp.get("momentum") if "momentum" in hp else None,
        schedule=hp.Choice("schedule", ["constant", "cosine", "warmup_cosine"], default="warmup_cosine"),
        label_smoothing=hp.Float("label_smoothing", 0.0, 0.1, step=0.05, default=0.0) if several else 0.0,
        batch_size=hp.Choice("batch_size", sizes, default=batch_size if batch_size in sizes else sizes[-1]),
        averaged=hp.Boolean("averaged"),
    )


def batch_sizes(examples: int, batch_size: int) -> list[int]:
    """The batch sizes that so many training examples allow: an epoch has ten steps or more, or batches are of eight.

    Args:
        batch_size: a size that is wanted, which joins them if it is none of the usual ones.
    """
    usual = _BATCH_SIZES[1:] if examples >= _FEWEST_STEPS * _BATCH_SIZES[1] else _BATCH_SIZES
    most = max(examples / _FEWEST_STEPS, _BATCH_SIZES[0])
    return sorted({size for size in {*usual, batch_size} if size <= most})


def _ask_optimizer(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("optimizer", ["adamw", "sgd"])
    with hp.conditional_scope("optimizer", ["adamw"]):
        hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=2e-3)
        hp.Float("weight_decay", 1e-4, 3e-1, sampling="log", default=2e-2)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("learning_rate", 3e-3, 1e-1, sampling="log", default=3e-2)
        hp.Float("weight_decay", 1e-5, 1e-2, sampling="log", default=5e-4)
        hp.Float("momentum", 0.8, 0.95, sampling="reverse_log", default=0.9)
