"""The process that trains a trial's hyperparameters again.

``python -m tuner.champion.retraining LOG`` takes ``{"request", "on", "epochs", "seed", "file", "workspace"}``, any
number of times: an ``ExportRequest``, the splits to train on, for how many epochs, and the ``.keras`` file to write. It
answers each with a ``Run``, or ``{"refused": reason}``.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from tuner.champion.child import Receive, Say, serve
from tuner.champion.exporting import prepared_data, reason_of
from tuner.champion.request import ExportRequest
from tuner.champion.scorable import metric_of
from tuner.data.prepared import PreparedData
from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.errors import ExportError


def work(receive: Receive, say: Say) -> None:
    """Answers the parent until it has no more questions."""
    trial = -1
    try:
        while (message := receive()) is not None:
            request = ExportRequest.model_validate(message["request"])
            trial = request.trial
            folder = Path(message["workspace"])
            _retrain(request, _training_data(request, message["on"], folder), message, folder)
            say(_scored(request.model_copy(update={"checkpoint": Path(message["file"])}), message))
    except Exception as error:
        traceback.print_exc()
        say({"refused": f"trial {trial} cannot be trained again: {reason_of(error)}"})


def _training_data(request: ExportRequest, on: Sequence[str], workspace: Path) -> PreparedData:
    from tuner.data.joining import joined

    data = prepared_data(request)
    if list(on) == [TRAIN]:
        return data
    folder = workspace / "joined"
    folder.mkdir(exist_ok=True)
    return joined(data, on, folder)


def _retrain(request: ExportRequest, data: PreparedData, message: dict[str, Any], workspace: Path) -> None:
    import keras
    import tensorflow as tf

    from tuner.data.batches import TrainingBatches
    from tuner.hyperparameters import TrialHyperParameters
    from tuner.trial.callbacks import DivergenceGuard
    from tuner.trial.model import batch_format, batch_size_of, build_model
    from tuner.trial.runtime import begin
    from tuner.trial.space import load_space
    from tuner.trial.user_callbacks import CallbackContext, user_callbacks

    spec, seed, epochs = request.spec, message["seed"], message["epochs"]
    if spec.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.clear_session()
    begin(spec, seed)
    space = load_space(spec, data.summary())
    hp = TrialHyperParameters(known_value, request.params)
    model = build_model(space, hp, spec, data)
    batches = TrainingBatches(data, batch_size_of(hp, spec), seed, batch_format(space, hp, spec, data, model))
    callbacks = workspace / "callbacks"
    callbacks.mkdir(exist_ok=True)
    context = CallbackContext(
        study=spec.study,
        trial=request.trial,
        execution=0,
        hyperparameters=dict(hp.values),
        epochs=epochs,
        objective=spec.objective.metric,
        folder=callbacks,
    )

    def begin_epoch(epoch: int, logs: Any = None) -> None:
        batches.epoch = epoch

    order = keras.callbacks.LambdaCallback(on_epoch_begin=begin_epoch)
    space.fit(
        hp,
        model.network,
        batches.dataset,
        epochs=epochs,
        callbacks=[order, DivergenceGuard(), *user_callbacks(spec, context)],
        verbose=0,
    )
    model.end_to_end().save(os.fspath(message["file"]))


def known_value(name: str, distribution: BaseDistribution, value: Any) -> Any:
    """Answers ``TrialHyperParameters`` with the values that it was given, and nothing else.

    Raises:
        ExportError: it was given none.
    """
    if value is not None:
        return value
    # A value that the sampler knows by another one is asked for a second time, as the only one of its kind.
    if isinstance(distribution, IntDistribution | FloatDistribution) and distribution.single():
        return distribution.low
    raise ExportError(f"it has no value for hyperparameter {name}: the search space is another one now")


def _scored(request: ExportRequest, message: dict[str, Any]) -> dict[str, Any]:
    from tuner.champion.assessment import Resampled
    from tuner.champion.evaluated import evaluate
    from tuner.champion.retrained import Run

    data, metric = prepared_data(request), metric_of(request.spec.objective.metric)
    evaluated = evaluate(request, data)
    if evaluated.subject.unscorable:
        raise ExportError(evaluated.subject.unscorable)
    scores = {
        split: Resampled(
            evaluated.metrics(split)[metric], evaluated.resampled(split, metric), len(data.split(split))
        ).score()
        for split in (VALIDATION, TEST)
        if split in data.splits and split not in message["on"]
    }
    return Run(seed=message["seed"], validation=scores.get(VALIDATION), test=scores.get(TEST)).model_dump(mode="json")


if __name__ == "__main__":
    serve(work)
