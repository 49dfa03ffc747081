"""Measures of a trained model: what objectives and constraints may name besides the metrics that epochs log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import keras
import tensorflow as tf

from tuner.data.batches import BatchFormat, evaluation_batches, inputs_of
from tuner.data.cache import PreparedData
from tuner.data.model_columns import given_to
from tuner.spec.objective import MEASURES
from tuner.spec.search_spec import SearchSpec
from tuner.trial.failure import Diverged
from tuner.trial.messages import KeptModel

_WARM_UP_CALLS = 5
_FEWEST_CALLS, _MOST_CALLS = 20, 200
_LATENCY_SECONDS = 1.0


def measures_of(
    spec: SearchSpec,
    model: keras.Model,
    data: PreparedData,
    parameters: int,
    kept: KeptModel | None,
    metrics: Mapping[str, float],
) -> dict[str, float]:
    """The value of every objective and constraint of the spec, by name; empty if there is one objective alone.

    Args:
        model: end to end, with the best epoch's weights.
        kept: its ``.keras`` file; None where it could not be saved.
        metrics: metrics of the best epoch.

    Raises:
        Diverged: an objective is not a finite number.
        KeyError: an objective or constraint is neither a measure nor among the metrics.
        ValueError: ``export_bytes`` is wanted of a model that could not be saved.
    """
    measure: dict[str, Callable[[], float]] = {
        "parameters": lambda: float(parameters),
        "export_bytes": lambda: _size(kept),
        "latency_ms": lambda: latency_ms(model, given_to(model, _one_example(data))),
    }
    found = {name: measure[name]() if name in MEASURES else _logged(name, metrics) for name in spec.wanted}
    for objective in spec.objectives:
        if objective.metric in found and not math.isfinite(found[objective.metric]):
            raise Diverged(f"{objective.metric} is {found[objective.metric]}")
    return found


def known_measures(spec: SearchSpec, parameters: int, metrics: Mapping[str, float]) -> dict[str, float]:
    """What is known of a trial whose model is not kept: its size and the metrics of its best epoch."""
    known = {**metrics, "parameters": float(parameters)}
    return {name: known[name] for name in spec.wanted if name in known}


def latency_ms(model: keras.Model, inputs: Any) -> float:
    """Median time of a prediction, in milliseconds, after warm-up.

    Args:
        inputs: the model's inputs of one example, as a batch of one.
    """
    predict = tf.function(lambda given: model(given, training=False))

    def call() -> float:
        started = time.perf_counter()
        for output in tf.nest.flatten(predict(inputs)):
            output.numpy()
        return (time.perf_counter() - started) * 1000

    for _ in range(_WARM_UP_CALLS):
        call()
    taken: list[float] = []
    deadline = time.perf_counter() + _LATENCY_SECONDS
    while len(taken) < _FEWEST_CALLS or (len(taken) < _MOST_CALLS and time.perf_counter() < deadline):
        taken.append(call())
    return median(taken)


def _one_example(data: PreparedData) -> Any:
    """The raw inputs of the first validation example, as a batch of one."""
    return inputs_of(next(iter(evaluation_batches(data, 1, BatchFormat()))))


def _size(kept: KeptModel | None) -> float:
    if kept is None or kept.size is None:
        raise ValueError("export_bytes cannot be measured, because the model could not be saved")
    return float(kept.size)


def _logged(name: str, metrics: Mapping[str, float]) -> float:
    if name not in metrics:
        raise KeyError(f"no epoch logs {name!r}; logged are {', '.join(sorted(metrics))}")
    return metrics[name]
