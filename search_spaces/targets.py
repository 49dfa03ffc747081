"""Output layer, loss and metrics of a target, by its task: the one place that decides them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt

from search_spaces.base import Target

# Evenly spread thresholds of the area under a curve: Keras's 200 are coarse for a good classifier.
_THRESHOLDS = 1000
# Two classes of which the rarer one has a smaller share than this are imbalanced.
_RARE = 0.2
# Bulmer, Principles of Statistics, 1979: a distribution is highly skewed beyond this.
_HIGHLY_SKEWED = 1.0
# The deviation of numbers in units of their mean; Keras's Poisson loss adds 1e-7 to predictions.
_LEAST_SPREAD, _LEAST_MEAN = 0.3, 1e-4
# Of the logarithm of a prediction's ratio to the mean: beyond these it is cut off.
_LEAST_RATIO, _GREATEST_RATIO = -20.0, 10.0


def imbalanced(class_counts: Sequence[int]) -> bool:
    """Whether one of two classes is rare."""
    return len(class_counts) == 2 and min(class_counts) < _RARE * sum(class_counts)


def may_be_logarithmic(target: Target) -> bool:
    """Whether numbers are at least 0 and so skewed that they are better learned through a logarithm.

    They must vary as much as they are large: far from 0 a logarithm is a straight line, and a network's first scores
    would be many deviations away.
    """
    known = target.statistics
    if target.task != "regression" or known is None or not known.skewness:
        return False
    if min(known.least) < 0 or min(known.mean) < _LEAST_MEAN or min(known.skewness) <= _HIGHLY_SKEWED:
        return False
    return all(var >= (_LEAST_SPREAD * mean) ** 2 for mean, var in zip(known.mean, known.variance, strict=True))


def labels_of(target: Target) -> Literal["integer", "one_hot"]:
    """How a model with this output layer wants its labels."""
    return "one_hot" if target.task == "classification" and len(target.class_names) > 2 else "integer"


def output_layers(target: Target, features: Any) -> Any:
    """The prediction from features, (batch, n), in float32 whatever the precision of the rest.

    Returns:
        float32: probabilities (batch, classes) that sum to 1 for three classes and more; of the second class,
        (batch, 1), for two; of each label, (batch, classes), for multi-label; numbers in the target's own unit,
        (batch, numbers), for regression.

    Raises:
        ValueError: the data has no labels, or numbers of more than one dimension.
    """
    if target.task == "regression":
        scaled = keras.layers.Dense(outputs_of(target), dtype="float32", name="scaled")(features)
        return _in_own_unit(target, scaled, output_name(target))
    name, activation = _activation(target)
    return keras.layers.Dense(outputs_of(target), activation, dtype="float32", name=name)(features)


def outputs_of(target: Target) -> int:
    """How many numbers a prediction has: ``n`` of what ``output_layers`` returns, (batch, n)."""
    if target.task == "regression":
        return len(_moments(target)[0])
    return 1 if target.task == "classification" and len(target.class_names) == 2 else len(target.class_names)


def output_name(target: Target) -> str:
    """The name of the layer that gives predictions."""
    return "numbers" if target.task == "regression" else _activation(target)[0]


def predictions(target: Target, scores: Any, name: str | None = None) -> Any:
    """What ``output_layers`` returns, from scores (..., n): logits, or numbers of mean 0 and variance 1.

    Args:
        name: of the layer that gives them.
    """
    name = name or output_name(target)
    if target.task == "regression":
        return _in_own_unit(target, scores, name)
    return keras.layers.Activation(_activation(target)[1], dtype="float32", name=name)(scores)


def standardized(target: Target, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Numbers of a regression, (batch, n), in a unit that is the same whatever their own.

    That is the unit of ``predictions``' scores, or, through a logarithm, the mean: scores are logarithms of that.
    """
    mean, variance = _moments(target)
    if target.link == "log":
        return numbers.astype(np.float64) / mean
    return (numbers.astype(np.float64) - mean) / np.sqrt(variance)


def _activation(target: Target) -> tuple[str, str]:
    """The name of the layer that gives probabilities, and what makes them."""
    if target.task == "classification" and len(target.class_names) > 2:
        return "probabilities", "softmax"
    return ("probability" if target.task == "classification" else "probabilities"), "sigmoid"


def _in_own_unit(target: Target, scaled: Any, name: str) -> Any:
    mean, variance = _moments(target)
    if target.link == "log":
        ratios = keras.ops.clip(keras.ops.cast(scaled, "float32"), _LEAST_RATIO, _GREATEST_RATIO)
        logarithms = keras.layers.Rescaling(1.0, [math.log(each) for each in mean], dtype="float32")(ratios)
        return keras.layers.Activation("exponential", dtype="float32", name=name)(logarithms)
    deviation = [value**0.5 for value in variance]
    return keras.layers.Rescaling(deviation, mean, dtype="float32", name=name)(scaled)


def compile_options(target: Target, label_smoothing: float = 0.0) -> dict[str, Any]:
    """``loss``, ``metrics`` and whatever else ``compile`` needs beside the optimizer.

    Two-class metrics are of the second class. The loss of a regression is in units of the target's variance, so that
    learning rates mean the same whatever the target's unit. Through a logarithm it is Poisson's deviance, in units of
    the mean: it makes predictions the mean, as squares do, and lets errors grow with what is predicted.
    """
    if target.task == "regression":
        mean, variance = _moments(target)
        metrics = [keras.metrics.MeanAbsoluteError("mae"), keras.metrics.RootMeanSquaredError("rmse")]
        logarithmic = target.link == "log"
        return {
            "loss": keras.losses.Poisson() if logarithmic else keras.losses.MeanSquaredError(),
            "loss_weights": [1.0 / fmean(mean if logarithmic else variance)],
            "metrics": [*metrics, keras.metrics.R2Score(name="r2")],
        }
    if target.task == "classification" and len(target.class_names) > 2:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
        return {"loss": loss, "metrics": [keras.metrics.CategoricalAccuracy("accuracy")]}
    loss = keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return {"loss": loss, "metrics": _binary_metrics(target)}


def _binary_metrics(target: Target) -> list[keras.metrics.Metric]:
    several = {"multi_label": True, "num_labels": len(target.class_names)} if target.task == "multi_label" else {}
    return [
        keras.metrics.BinaryAccuracy("accuracy"),
        keras.metrics.AUC(num_thresholds=_THRESHOLDS, name="auc", **several),
        keras.metrics.AUC(num_thresholds=_THRESHOLDS, curve="PR", name="pr_auc", **several),
        keras.metrics.Precision(name="precision"),
        keras.metrics.Recall(name="recall"),
    ]


def _moments(target: Target) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if target.task != "regression" or target.statistics is None or len(target.shape) > 1:
        raise ValueError(f"a target of task {target.task!r} and shape {target.shape} has no output layer here")
    # A constant target has no unit.
    return target.statistics.mean, tuple(value if value > 0 else 1.0 for value in target.statistics.variance)
