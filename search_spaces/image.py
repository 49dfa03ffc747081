"""Image classification: networks from scratch and pretrained, with all preprocessing in the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from search_spaces.base import DataSummary, SearchSpace
from search_spaces.images import hyperparameters as ask
from search_spaces.images.backbones import Weights, require_backbones
from search_spaces.images.config import FAMILIES, Family, ImageConfig
from search_spaces.images.layers import assemble
from search_spaces.images.mixing import MixedBatches
from search_spaces.images.portfolio import PORTFOLIO
from search_spaces.optimization import averaging_callbacks, compile_model
from search_spaces.targets import labels_of


class ImageSpace(SearchSpace):
    """Models of images, for data sets about which nothing is known but their size.

    Models take float32 (batch, height, width, channels) in [0, 255] and give what ``targets.output_layers``
    says of the target's task. They consist of Keras's own layers, so that a saved one loads
    without this package.

    Args:
        data: the data's summary; ``input_shape`` is (height, width, channels).
        pretrained: also try networks of keras.applications with weights learned on ImageNet, which
            are fetched now unless they are on this machine.
        families: which kinds of network to try: ``"plain"``, ``"residual"``, ``"separable"``,
            ``"pretrained"``; the first is that of the first trial, unless pretrained ones are tried.
            By default all, of which pretrained ones only if ``pretrained`` is true.
        epochs: the length of a full training, which learning-rate schedules span.
        batch_size: the default batch size, unless an epoch would have fewer than ten steps.
        max_width: no stage has more filters (twice as many where they are separable): it bounds
            the models' size, at the default and 32 x 32 pixels to 3 million parameters.
        weights: of pretrained networks; None gives their architecture with random weights.

    Raises:
        ValueError: the data is not images in classes, an option is impossible, or pretrained
            networks are asked for and cannot be had.
    """

    def __init__(
        self,
        data: DataSummary,
        *,
        pretrained: bool = False,
        families: Sequence[str] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        max_width: int = 160,
        weights: Weights = "imagenet",
    ) -> None:
        super().__init__(data)
        _check_data(data)
        self.labels = labels_of(data.target)
        self.families = _families(families, pretrained)
        self.epochs = epochs
        self.batch_size = batch_size
        self.max_width = _checked_width(max_width)
        self.weights = _checked_weights(weights)
        if "pretrained" in self.families:
            require_backbones(data.input_shape, self.weights)

    @property
    def portfolio(self) -> tuple[Mapping[str, Any], ...]:
        # The default model is a pretrained one where there are any.
        return ({}, *PORTFOLIO) if "pretrained" in self.families else PORTFOLIO

    def configure(self, hp: keras_tuner.HyperParameters) -> ImageConfig:
        """Asks for every hyperparameter; builds nothing."""
        shape, families = self.data.input_shape, self.families
        examples, target = self.data.examples["train"], self.data.target
        family = ask.ask_family(hp, families)
        ask.ask_class_weight(hp, target)
        smooth = not self.judged_by_loss
        optimization = ask.ask_optimization(hp, families, target, examples, self.batch_size, smooth=smooth)
        steps = math.ceil(examples / optimization.batch_size)
        return ImageConfig(
            family=family,
            framing=ask.ask_framing(hp, shape, families),
            augmentation=ask.ask_augmentation(hp),
            mixing=ask.ask_mixing(hp, target),
            network=ask.ask_network(hp, family, min(shape[:2]), families, steps),
            backbone=ask.ask_backbone(hp, family, families),
            head=ask.ask_head(hp),
            optimization=optimization,
        )

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        self.configure(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return self.build_config(self.configure(hp))

    def build_config(self, config: ImageConfig) -> keras.Model:
        """The compiled model of a configuration."""
        model = assemble(
            config,
            self.data.input_shape,
            self.data.target,
            max_width=self.max_width,
            weights=self.weights,
        )
        compile_model(model, self.data.target, config.optimization, self.data.examples["train"], self.epochs)
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, batches: tf.data.Dataset, **kwargs: Any) -> Any:
        """Trains a model as Keras does, on batches of mixed images where the configuration says so."""
        callbacks = [*averaging_callbacks(model), *keras.tree.flatten(kwargs.pop("callbacks", None) or [])]
        mixing = self.configure(hp).mixing
        if mixing is not None:
            mixed = MixedBatches(batches, mixing)
            batches, callbacks = mixed.dataset, [mixed, *callbacks]
        return super().fit(hp, model, batches, callbacks=callbacks, **kwargs)


def _check_data(data: DataSummary) -> None:
    if len(data.input_shape) != 3:
        raise ValueError(f"the image space takes examples of shape (height, width, channels), not {data.input_shape}")
    if data.task == "none":
        raise ValueError("the image space needs labels")
    if data.task == "classification" and data.num_classes < 2:
        raise ValueError(f"the image space needs at least two classes, not {data.num_classes}")


def _families(families: Sequence[str] | None, pretrained: bool) -> tuple[Family, ...]:
    if families is None:
        return tuple(each for each in FAMILIES if pretrained or each != "pretrained")
    unknown = [each for each in families if each not in FAMILIES]
    if unknown or not families or isinstance(families, str):
        raise ValueError(f"families must be a list of {', '.join(FAMILIES)}; it is {families!r}")
    if pretrained != ("pretrained" in families):
        raise ValueError(
            f"pretrained is {pretrained} and families are {', '.join(families)}: "
            "pretrained networks are tried only if both name them"
        )
    return tuple(dict.fromkeys(each for each in families if each in FAMILIES))  # type: ignore[misc]


def _checked_width(max_width: int) -> int:
    if max_width < 8 or max_width % 8:
        raise ValueError(f"max_width must be a multiple of 8 and at least 8; it is {max_width!r}")
    return max_width


def _checked_weights(weights: Weights) -> Weights:
    # Keras would take any other text for a file to read.
    if weights not in ("imagenet", None):
        raise ValueError(f"weights must be 'imagenet' or null, not {weights!r}")
    return weights
