"""How the networks of every space are trained: loss, optimizer and learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
from keras.optimizers import schedules

from search_spaces.base import Target
from search_spaces.targets import compile_options

_WARM_UP_SHARE = 0.1
# Of the highest rate: where warm-up starts and cosine decay ends.
_LOWEST_RATE = 0.01


@dataclass(frozen=True)
class Optimization:
    """How the network is trained.

    Attributes:
        optimizer: ``"adamw"``, ``"rmsprop"`` or ``"sgd"``, which has Nesterov momentum.
        learning_rate: the highest of the schedule.
        weight_decay: decoupled from the gradient: a step takes learning_rate * weight_decay of a
            kernel off it.
        momentum: of sgd.
        schedule: ``"constant"``, ``"cosine"`` or ``"warmup_cosine"``.
        label_smoothing: share of a label spread over all classes.
        batch_size: examples in a step.
    """

    optimizer: str
    learning_rate: float
    weight_decay: float
    momentum: float | None
    schedule: str
    label_smoothing: float
    batch_size: int


def compile_model(model: keras.Model, target: Target, optimization: Optimization, examples: int, epochs: int) -> None:
    """Compiles a model of a target; XLA compiles it too where there is an accelerator.

    On a CPU XLA takes longer for a small network (5 to 10 s of processor time) than it saves in a whole trial.

    Args:
        examples: number of training examples.
        epochs: after so many the schedule ends.
    """
    steps = epochs * math.ceil(examples / optimization.batch_size)
    model.compile(
        optimizer=_optimizer(optimization, steps),
        jit_compile="auto" if _has_accelerator() else False,
        **compile_options(target, optimization.label_smoothing),
    )


def _has_accelerator() -> bool:
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


def _optimizer(optimization: Optimization, steps: int) -> keras.optimizers.Optimizer:
    rate = _schedule(optimization, steps)
    if optimization.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            rate,
            momentum=optimization.momentum,
            nesterov=True,
            weight_decay=optimization.weight_decay,
        )
    elif optimization.optimizer == "rmsprop":
        optimizer = keras.optimizers.RMSprop(rate, weight_decay=optimization.weight_decay)
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
