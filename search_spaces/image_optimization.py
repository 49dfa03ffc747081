"""Loss, optimizer and learning-rate schedule of the image space."""

from __future__ import annotations

import math

import keras
from keras.optimizers import schedules

from search_spaces.base import Target
from search_spaces.image_config import Optimization
from search_spaces.targets import compile_options

_WARM_UP_SHARE = 0.1
# Of the highest rate: where warm-up starts and cosine decay ends.
_LOWEST_RATE = 0.01


def compile_model(model: keras.Model, target: Target, optimization: Optimization, examples: int, epochs: int) -> None:
    """Compiles a model of a target.

    Args:
        examples: number of training examples.
        epochs: after so many the schedule ends.
    """
    steps = epochs * math.ceil(examples / optimization.batch_size)
    model.compile(
        optimizer=_optimizer(optimization, steps),
        **compile_options(target, optimization.label_smoothing),
    )


def _optimizer(optimization: Optimization, steps: int) -> keras.optimizers.Optimizer:
    rate = _schedule(optimization, steps)
    if optimization.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            rate,
            momentum=optimization.momentum,
            nesterov=True,
            weight_decay=optimization.weight_decay,
        )
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=optimization.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(optimization: Optimization, steps: int) -> float | schedules.LearningRateSchedule:
    rate = optimization.learning_rate
    if optimization.schedule == "constant":
        return rate
    if optimization.schedule == "cosine":
        return schedules.CosineDecay(rate, steps, alpha=_LOWEST_RATE)
    warm_up = min(max(1, round(_WARM_UP_SHARE * steps)), steps - 1)
    if warm_up < 1:
        return rate
    return schedules.CosineDecay(
        rate * _LOWEST_RATE,
        steps - warm_up,
        alpha=_LOWEST_RATE,
        warmup_target=rate,
        warmup_steps=warm_up,
    )
