"""What a classifier's output means: from whatever ``compile`` was told, to one probability per class or label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from tuner.data.prepared import TargetFacts
from tuner.errors import ExportError

Activation = Literal["none", "softmax", "sigmoid"]
# Losses whose logits are independent of each other, so that each goes through a sigmoid.
_ELEMENTWISE = (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy)


@dataclass(frozen=True)
class OutputMeaning:
    """How a model's output becomes probabilities.

    Attributes:
        units: the output's last dimension.
        activation: what is applied to it, because the loss takes logits.
        exclusive: an example has one class rather than any number of labels.
    """

    units: int
    activation: Activation
    exclusive: bool = True

    @property
    def is_probabilities(self) -> bool:
        """Whether the output is the probabilities already."""
        return self.activation == "none" and not self._is_second_class

    @property
    def _is_second_class(self) -> bool:
        return self.exclusive and self.units == 1

    def probabilities(self, output: tf.Tensor) -> tf.Tensor:
        """Probabilities, float32, shape (batch, classes), from an output of shape (batch, units).

        One unit is the probability of the second class.
        """
        values = tf.cast(output, tf.float32)
        if self.activation == "softmax":
            values = tf.nn.softmax(values)
        elif self.activation == "sigmoid":
            values = tf.math.sigmoid(values)
        return tf.concat([1.0 - values, values], axis=-1) if self._is_second_class else values


def output_meaning(model: keras.Model, output: Any, target: TargetFacts) -> OutputMeaning:
    """What a compiled classifier's output means.

    Args:
        output: what the model gave for a batch.
        target: of classification or multi-label.

    Raises:
        ExportError: it does not give one number per class (or one for two classes).
    """
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) != 2:
        given = f"shape {tuple(shape)}" if shape is not None else type(output).__name__
        raise ExportError(f"the model's output is not (batch, classes) but {given}")
    units, classes = int(shape[-1]), len(target.class_names)
    exclusive = target.task == "classification"
    if units != classes and not (exclusive and (units, classes) == (1, 2)):
        raise ExportError(f"the model gives {units} numbers for {classes} {'classes' if exclusive else 'labels'}")
    loss = _only_loss(model)
    if not _takes_logits(loss):
        return OutputMeaning(units, "none", exclusive)
    elementwise = units == 1 or not exclusive or isinstance(loss, _ELEMENTWISE)
    return OutputMeaning(units, "sigmoid" if elementwise else "softmax", exclusive)


def _only_loss(model: keras.Model) -> Any:
    found = [loss for loss in keras.tree.flatten(getattr(model, "loss", None)) if loss is not None]
    return found[0] if len(found) == 1 else None


def _takes_logits(loss: Any) -> bool:
    configured = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    return bool(configured.get("from_logits", getattr(loss, "from_logits", False)))
