"""One given configuration of a built-in space, trained in this process as a trial would train it, without a study."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from champions_scores import Score, score
from champions_sets import OBJECTIVES, Divided

from tuner.data.batches import evaluation_batches
from tuner.data.cache import prepare
from tuner.data.pipeline_options import leave_autotuning_off
from tuner.data.summary import summary_of
from tuner.hyperparameters import TrialHyperParameters, default_of
from tuner.spec.reading import validate_spec
from tuner.trial.executions import early_stopping
from tuner.trial.model import batch_format, batch_size_of, build_model
from tuner.trial.runtime import limit_threads
from tuner.trial.scored_weights import ScoredWeights
from tuner.trial.space import load_space
from tuner.trial.space_fit import Fitting, TrainingData


@dataclass(frozen=True)
class Trained:
    """What came of a configuration.

    Attributes:
        validation: the best epoch's value of the objective.
        test: the score of that epoch's model on what was kept back.
        values: of the objective, of each epoch that was trained.
        seconds: of this process's processor time, until the model was trained.
        first_seconds: likewise, until the first epoch had ended.
    """

    validation: float
    test: Score
    values: tuple[float, ...]
    seconds: float
    first_seconds: float


class _Best(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, and the processor time of the first."""

    def __init__(self, metric: str, scored: ScoredWeights) -> None:
        super().__init__()
        self._scored = scored
        self._metric, self._sign = metric, -1 if metric == "val_rmse" else 1
        self.values: list[float] = []
        self.first_ended = 0.0
        self.weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = float((logs or {})[self._metric])
        if not self.values:
            self.first_ended = time.process_time()
        if not self.values or self._sign * value > self._sign * self.best:
            self.weights = self._scored.behind(self._metric, logs or {})
        self.values.append(value)

    @property
    def best(self) -> float:
        return self._sign * max(self._sign * value for value in self.values)


def one_thread() -> None:
    """Has TensorFlow compute in one thread, so that processor time means the same on every machine."""
    limit_threads(1)
    leave_autotuning_off()


Recompile = Callable[[keras.Model, int], Sequence[keras.callbacks.Callback]]
"""Compiles a network in another way, told the steps of an epoch; returns what its training needs."""


def train(
    files: Divided,
    values: Mapping[str, Any],
    cache: Path,
    seed: int,
    *,
    training: Mapping[str, Any] = MappingProxyType({}),
    recompile: Recompile | None = None,
) -> Trained:
    """Trains the configuration: defaults, but for ``values``.

    Args:
        training: the spec's section of that name.
        recompile: changes how the network is trained.

    Raises:
        ValueError: the space of this data has no such configuration.
    """
    raw = files.spec(seed=seed, training=dict(training))
    spec = validate_spec(raw, source="benchmark", base=files.train.parent)
    data = prepare(spec.data, cache)
    began = time.process_time()
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    space = load_space(spec, summary_of(data))
    hp = TrialHyperParameters(default_of, values, use_defaults=True)
    model = build_model(space, hp, spec, data)
    if unused := hp.unused_preset:
        raise ValueError(f"nothing asks for {', '.join(unused)}")
    form = batch_format(space, hp, spec, data, model)
    batch_size = batch_size_of(hp, spec)
    batches = TrainingData(data, form, batch_size, seed, validates=True)
    own = recompile(model.network, -(-len(data.split("train")) // batch_size)) if recompile else ()
    scored = ScoredWeights()
    kept = _Best(OBJECTIVES[files.data.measure], scored)
    moving = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.set_epoch(epoch))
    callbacks = [moving, *early_stopping(spec), *own, scored, kept]
    Fitting(space, hp, model.network, batches, epochs=spec.training.epochs, callbacks=callbacks).run()
    seconds = time.process_time() - began
    for variable, value in zip(model.network.variables, kept.weights, strict=True):
        variable.assign(value)
    tests = list(evaluation_batches(data, 512, form, "test"))
    truth = np.concatenate([np.asarray(y) for _, y, *_ in tests])
    predicted = np.concatenate([np.asarray(model.network(x, training=False)) for x, *_ in tests])
    tested = _tested(files, truth, predicted)
    return Trained(kept.best, tested, tuple(kept.values), seconds, kept.first_ended - began)


def _tested(files: Divided, truth: Any, predicted: Any) -> Score:
    measure = files.data.measure
    if predicted.shape[1] > 1:
        return score(measure, truth.argmax(axis=1) if truth.ndim > 1 else truth, predicted.argmax(axis=1))
    truth, predicted = truth.reshape(-1), predicted.reshape(-1)
    return score(measure, truth, (predicted > 0.5).astype(truth.dtype) if measure == "accuracy" else predicted)
