"""How the networks of every space are trained: loss, optimizer and learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras.optimizers import schedules

from search_spaces.base import Target
from search_spaces.targets import compile_options

_WARM_UP_SHARE = 0.1
# Of the highest rate: where warm-up starts and cosine decay ends.
_LOWEST_RATE = 0.01
# Averaged weights are those of about the last epoch.
_AVERAGED_EPOCHS = 1
_MOMENTA_OF_AVERAGES = (0.8, 0.999)
# The first of four cosines takes so large a part of the training: 1 + 2 + 4 + 8.
_RESTARTED = 15


@dataclass(frozen=True)
class Optimization:
    """How the network is trained.

    Attributes:
        optimizer: ``"adamw"``, ``"rmsprop"`` or ``"sgd"``, which has Nesterov momentum.
        learning_rate: the highest of the schedule.
        weight_decay: decoupled from the gradient: a step takes learning_rate * weight_decay of a
            kernel off it.
        momentum: of sgd.
        schedule: ``"constant"``, ``"cosine"``, ``"warmup_cosine"``, or ``"restarts"``: four cosines, each twice as
            long as the one before.
        label_smoothing: share of a label spread over all classes.
        batch_size: examples in a step.
        averaged: whether what is validated and kept is a moving average of the weights; the training needs
            ``averaging_callbacks`` then.
        beta_2: of adamw: the decay of its mean of squared gradients.
    """

    optimizer: str
    learning_rate: float
    weight_decay: float
    momentum: float | None
    schedule: str
    label_smoothing: float
    batch_size: int
    averaged: bool = False
    beta_2: float = 0.999


def compile_model(model: keras.Model, target: Target, optimization: Optimization, examples: int, epochs: int) -> None:
    """Compiles a model of a target; XLA compiles it too where there is an accelerator.

    On a CPU XLA takes longer for a small network (5 to 10 s of processor time) than it saves in a whole trial.

    Args:
        examples: number of training examples.
        epochs: after so many the schedule ends.
    """
    model.compile(
        optimizer=_optimizer(optimization, math.ceil(examples / optimization.batch_size), epochs),
        jit_compile="auto" if _has_accelerator() else False,
        **compile_options(target, optimization.label_smoothing),
    )


def averaging_callbacks(model: keras.Model) -> list[keras.callbacks.Callback]:
    """What a training needs so that averages of weights are what is validated."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return [keras.callbacks.SwapEMAWeights()] if getattr(optimizer, "use_ema", False) else []


def _has_accelerator() -> bool:
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


def _optimizer(optimization: Optimization, steps_per_epoch: int, epochs: int) -> keras.optimizers.Optimizer:
    keywords: dict[str, Any] = {
        "learning_rate": _schedule(optimization, steps_per_epoch * epochs),
        "weight_decay": optimization.weight_decay,
    }
    if optimization.averaged:
        low, high = _MOMENTA_OF_AVERAGES
        momentum = 1 - 1 / (_AVERAGED_EPOCHS * steps_per_epoch)
        keywords |= {"use_ema": True, "ema_momentum": min(max(momentum, low), high)}
    if optimization.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=optimization.momentum, nesterov=True, **keywords)
    elif optimization.optimizer == "rmsprop":
        optimizer = keras.optimizers.RMSprop(**keywords)
    else:
        optimizer = keras.optimizers.AdamW(beta_2=optimization.beta_2, **keywords)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(optimization: Optimization, steps: int) -> float | schedules.LearningRateSchedule:
    rate = optimization.learning_rate
    if optimization.schedule == "constant":
        return rate
    if optimization.schedule == "cosine":
        return schedules.CosineDecay(rate, steps, alpha=_LOWEST_RATE)
    if optimization.schedule == "restarts":
        return schedules.CosineDecayRestarts(rate, max(1, math.ceil(steps / _RESTARTED)), t_mul=2.0, alpha=_LOWEST_RATE)
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
