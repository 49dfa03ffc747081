"""The process that trains a trial's hyperparameters again.

``python -m tuner.champion.choosing.retraining_process LOG``; ``messages`` has what it is asked and answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.champion.child_process import Say, reason_of, serve
from tuner.champion.messages import TO_RETRAINING, PrepareTraining, ToRetraining, TrainAgain, TrainedAgain
from tuner.champion.model.known_values import known_value
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.retraining import Run
from tuner.data.prepared import PreparedData
from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.data.summary import summary_of
from tuner.errors import ExportError
from tuner.processes.quick_imports import import_keras

if TYPE_CHECKING:
    import keras


def work(questions: Iterator[ToRetraining], say: Say) -> None:
    """Answers the parent until it has no more questions."""
    import_keras()
    from tuner.data.pipeline_options import leave_autotuning_off

    leave_autotuning_off()
    prepared = next(questions)
    assert isinstance(prepared, PrepareTraining)
    try:
        retraining = _Retraining(prepared)
        for question in questions:
            assert isinstance(question, TrainAgain)
            say(TrainedAgain(run=retraining.run(question.seed, question.file)))
    except Exception as error:
        trial = prepared.request.trial
        raise ExportError(f"trial {trial} cannot be trained again: {reason_of(error)}") from error


class _Retraining:
    """A trial's hyperparameters, and the data to train them on."""

    def __init__(self, asked: PrepareTraining) -> None:
        from tuner.champion.model.study_data import prepared_data

        self._request, self._on, self._epochs = asked.request, asked.splits, asked.epochs
        self._workspace = asked.workspace
        self._data = prepared_data(asked.request)
        self._training = self._data if self._on == (TRAIN,) else self._joined()

    def _joined(self) -> PreparedData:
        from tuner.data.joining import joined

        folder = self._workspace / "joined"
        folder.mkdir()
        return joined(self._data, self._on, folder)

    def run(self, seed: int, file: Path) -> Run:
        from tuner.champion.choosing.scored_trial import evaluate

        _train(self._request, self._training, self._epochs, seed, self._workspace).save(os.fspath(file))
        request = self._request.model_copy(update={"checkpoint": file})
        splits = [split for split in (VALIDATION, TEST) if split not in self._on]
        evaluated = evaluate(request, self._data, splits)
        if evaluated.subject.unscorable:
            raise ExportError(evaluated.subject.unscorable)
        scores = {split: evaluated.score(split).score() for split in evaluated.outputs}
        return Run(seed=seed, validation=scores.get(VALIDATION), test=scores.get(TEST))


def _train(request: ExportRequest, data: PreparedData, epochs: int, seed: int, workspace: Path) -> keras.Model:
    """The model end to end, after its last epoch."""
    import keras
    import tensorflow as tf

    from tuner.hyperparameters import TrialHyperParameters
    from tuner.trial.callbacks import DivergenceGuard
    from tuner.trial.model import batch_format, batch_size_of, build_model
    from tuner.trial.runtime import begin
    from tuner.trial.space import load_space
    from tuner.trial.space_fit import Fitting, TrainingData
    from tuner.trial.user_callbacks import CallbackContext, user_callbacks

    spec = request.spec
    if spec.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.clear_session()
    begin(spec, seed)
    space = load_space(spec, summary_of(data))
    hp = TrialHyperParameters(known_value, request.params, spec=spec.hyperparameters)
    model = build_model(space, hp, spec, data)
    form = batch_format(space, hp, spec, data, model)
    training = TrainingData(data, form, batch_size_of(hp, spec), seed, validates=False)
    folder = workspace / "callbacks"
    folder.mkdir(exist_ok=True)
    context = CallbackContext(
        study=spec.study,
        trial=request.trial,
        execution=0,
        hyperparameters=dict(hp.values),
        epochs=epochs,
        objective=spec.objective.metric,
        folder=folder,
    )

    def begin_epoch(epoch: int, logs: Any = None) -> None:
        training.set_epoch(epoch)

    order = keras.callbacks.LambdaCallback(on_epoch_begin=begin_epoch)
    callbacks = [order, DivergenceGuard(), *user_callbacks(spec, context)]
    Fitting(space, hp, model.network, training, epochs=epochs, callbacks=callbacks, most_epochs=epochs).run()
    return model.end_to_end()


if __name__ == "__main__":
    serve(work, TO_RETRAINING)
