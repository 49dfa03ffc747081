"""MixUp and CutMix: training images that are made of two, with labels that are made of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import keras
import tensorflow as tf

Mixing = Literal["mixup", "cutmix"]

# Of the Beta distribution of shares. Zhang et al. (arXiv 1710.09412) have 0.1 to 0.4 for MixUp, and
# Yun et al. (arXiv 1905.04899) 1 for CutMix, which is uniform.
_CONCENTRATIONS: dict[Mixing, float] = {"mixup": 0.4, "cutmix": 1.0}
# AutoGraph would look for control flow that there is not.
_as_it_is = tf.autograph.experimental.do_not_convert


class MixedBatches(keras.callbacks.Callback):
    """Batches of which each example is mixed with the one before it; what is drawn depends on epoch and batch alone.

    As a callback of the training it knows the epoch, so that a training that is resumed at an epoch sees the batches
    that it would have seen.

    Args:
        batches: ``(x, y)`` or ``(x, y, weights)``: images (batch, height, width, channels), shares of classes (batch,
            classes), and weights (batch,) or (batch, 1).
        mixing: how.

    Attributes:
        dataset: likewise, of float32.
    """

    def __init__(self, batches: tf.data.Dataset, mixing: Mixing) -> None:
        super().__init__()
        self._epoch = 0
        numbers = tf.data.Dataset.from_generator(self._epochs, output_signature=tf.TensorSpec((), tf.int32)).flat_map(
            _as_it_is(lambda epoch: tf.data.Dataset.counter(dtype=tf.int32).map(lambda batch: tf.stack([epoch, batch])))
        )
        mix = _MIXERS[mixing]

        @_as_it_is
        def mixed(seed: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            return _mixed(mix, _CONCENTRATIONS[mixing], seed, *batch)

        self.dataset = tf.data.Dataset.zip(numbers, batches).map(mixed).with_options(batches.options())
        self.dataset = self.dataset.apply(tf.data.experimental.assert_cardinality(batches.cardinality()))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras has not yet asked for the epoch's data.
        self._epoch = epoch

    def _epochs(self) -> Iterator[int]:
        yield self._epoch


_Mixer = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def _mixed(
    mix: _Mixer, concentration: float, seed: tf.Tensor, x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor | None = None
) -> tuple[tf.Tensor, ...]:
    x, y = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
    own, seeds = tf.shape(y)[0], tf.random.split(seed, 4)
    first, second = (tf.random.stateless_gamma([own], seeds[place], concentration) for place in range(2))
    # Both may underflow.
    share = first / tf.maximum(first + second, 1e-30)
    x, share = mix(x, share, seeds[2:])
    weight = tf.ones_like(share) if weights is None else tf.reshape(tf.cast(weights, tf.float32), (-1,))
    # The loss of such an example is that of the one, times its share and weight, plus that of the other.
    one, other = share * weight, (1 - share) * _before(weight)
    total = one + other
    of_one = tf.math.divide_no_nan(one, total)[:, None]
    y = of_one * y + (1 - of_one) * _before(y)
    return (x, y) if weights is None else (x, y, total)


def _before(values: tf.Tensor) -> tf.Tensor:
    return tf.roll(values, 1, axis=0)


def _mix_up(x: tf.Tensor, share: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    weight = share[:, None, None, None]
    return weight * x + (1 - weight) * _before(x), share


def _cut_mix(x: tf.Tensor, share: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts a rectangle of another image, of 1 - ``share`` of its area where it fits, around a random place."""
    size, inside = tf.sqrt(1 - share), []
    for axis, seed in ((1, seeds[0]), (2, seeds[1])):
        length = tf.shape(x)[axis]
        centre = tf.random.stateless_uniform(tf.shape(share), seed)
        places = (tf.cast(tf.range(length), tf.float32) + 0.5) / tf.cast(length, tf.float32)
        inside.append(tf.abs(places[None] - centre[:, None]) < size[:, None] / 2)
    cut = inside[0][:, :, None] & inside[1][:, None, :]
    return tf.where(cut[..., None], _before(x), x), 1 - tf.reduce_mean(tf.cast(cut, tf.float32), axis=(1, 2))


_MIXERS: dict[Mixing, _Mixer] = {"mixup": _mix_up, "cutmix": _cut_mix}
