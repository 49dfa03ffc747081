"""What a configuration of the image space is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from search_spaces.images.mixing import Mixing
from search_spaces.optimization import Optimization

Family = Literal["plain", "residual", "separable", "pretrained"]
FAMILIES: tuple[Family, ...] = ("plain", "residual", "separable", "pretrained")


@dataclass(frozen=True)
class Framing:
    """Which pixels the network sees.

    Attributes:
        crop: the central share of height and width that is kept, in (0, 1].
        size: height and width in pixels that the crop is resized to.
    """

    crop: float
    size: tuple[int, int]


@dataclass(frozen=True)
class Augmentation:
    """Random changes while training.

    Attributes:
        flip: ``"none"``, ``"horizontal"`` or ``"horizontal_and_vertical"``.
        translation: greatest shift, as a share of height and width.
        rotation: greatest angle, as a share of a full turn.
        zoom: greatest change of scale, as a share.
        contrast: greatest change of contrast, as a share.
        erasing: share of the images in which a rectangle becomes noise.
    """

    flip: str
    translation: float
    rotation: float
    zoom: float
    contrast: float
    erasing: float


@dataclass(frozen=True)
class Network:
    """A network trained from scratch.

    Attributes:
        stem_stride: how much smaller than the input the first stage is: 1, 2 or 4.
        stages: resolutions; each stage halves the one before.
        blocks: blocks in each stage.
        width: filters of the first stage; later ones double them.
        normalization: ``"batch"`` or ``"group"``.
        activation: a name that Keras knows.
        momentum: what a step leaves of batch normalization's moving statistics, as a share.
        squeeze_excitation: channel attention in every block; residual networks only.
        kernel_size: of depthwise convolutions; separable networks only.
    """

    stem_stride: int
    stages: int
    blocks: int
    width: int
    normalization: str
    activation: str
    momentum: float = 0.9
    squeeze_excitation: bool = False
    kernel_size: int = 3


@dataclass(frozen=True)
class Backbone:
    """A network of keras.applications, by its name here, trained on or used as it is."""

    name: str
    fine_tune: bool


@dataclass(frozen=True)
class Head:
    """From feature maps to classes.

    Attributes:
        pooling: ``"avg"`` or ``"max"``, over all places.
        units: of a hidden dense layer; 0 for none.
        dropout: share of features dropped while training.
    """

    pooling: str
    units: int
    dropout: float


@dataclass(frozen=True)
class ImageConfig:
    """One configuration: ``network`` or ``backbone``, and ``augmentation`` and ``mixing`` unless they are off."""

    family: Family
    framing: Framing
    augmentation: Augmentation | None
    mixing: Mixing | None
    network: Network | None
    backbone: Backbone | None
    head: Head
    optimization: Optimization
