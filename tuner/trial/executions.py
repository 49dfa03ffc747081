"""The executions of a trial: each trains a model of the same hyperparameters with another seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import keras
import keras_tuner
import numpy as np

from search_spaces.base import StagedModel
from storage.artifacts import StudyArtifacts
from tuner.data.cache import PreparedData
from tuner.hyperparameters import TrialHyperParameters
from tuner.spec.objective import Objective
from tuner.spec.search_spec import SearchSpec
from tuner.trial.assignment import Assignment
from tuner.trial.callbacks import DivergenceGuard, Recorder, StopListener
from tuner.trial.channel import Channel
from tuner.trial.class_weighting import has_own_fit
from tuner.trial.failure import Interrupted
from tuner.trial.model import batch_format, build_by_shapes, can_be_evaluated
from tuner.trial.pulse import PulseKeeper
from tuner.trial.resume import Ended, Progress, Snapshot
from tuner.trial.resume_writer import ResumeWriter
from tuner.trial.scored_weights import ScoredWeights
from tuner.trial.space_fit import Fitting, TrainingData
from tuner.trial.user_callbacks import CallbackContext, tensorboard_callback, user_callbacks


@dataclass(frozen=True)
class Attempt:
    """What the executions of an attempt at a trial share."""

    assignment: Assignment
    channel: Channel
    artifacts: StudyArtifacts
    space: keras_tuner.HyperModel
    hp: TrialHyperParameters
    data: PreparedData
    writer: ResumeWriter

    @property
    def spec(self) -> SearchSpec:
        return self.assignment.spec


def execute(
    attempt: Attempt,
    model: StagedModel,
    batch_size: int,
    progress: Progress,
    champion: list[np.ndarray],
    resumed: Snapshot | None,
) -> Recorder:
    """Trains the model to the end of the execution that ``progress`` is in.

    Args:
        batch_size: of all executions, unless the space's ``fit`` gives one.
        champion: the variables of the best model of the executions before it.
        resumed: where the execution was interrupted, if it was.

    Raises:
        Exception: whatever training raises; ``failure.describe`` says what each means.
    """
    spec, network, assignment = attempt.spec, model.network, attempt.assignment
    form = batch_format(attempt.space, attempt.hp, spec, attempt.data, model)
    seed = assignment.execution_seed(progress.execution)
    training = TrainingData(attempt.data, form, batch_size, seed, validates=can_be_evaluated(network))
    if network.distribute_strategy.num_replicas_in_sync > 1:
        build_by_shapes(network, training.batches.element_spec)
    if resumed is not None and len(network.variables) < len(resumed.state.variables):
        # Some are made by the first step alone. What the step does to them is undone when the state is restored.
        network.fit(training.batches.take(1), epochs=1, verbose=0)
    others, scored = _callbacks(attempt, progress.execution), ScoredWeights()
    recorder = Recorder(
        objective=spec.objective,
        channel=attempt.channel,
        writer=attempt.writer,
        answer_seconds=assignment.answer_seconds,
        on_epoch=training.set_epoch,
        stateful=others,
        scored=scored,
        progress=progress,
        champion=champion,
        resumed=resumed,
        returns_result=has_own_fit(attempt.space),
    )
    try:
        # A `fit` of the space need not pass callbacks on.
        for each in (scored, recorder):
            each.set_model(network)
        if resumed is not None:
            recorder.catch_up(assignment.recorded)
        if recorder.is_done(spec.training.epochs):
            # What is kept of it has the optimizer's state too.
            recorder.restore_ended()
            return recorder
        own = (DivergenceGuard(), StopListener(attempt.channel))
        result = Fitting(
            attempt.space,
            attempt.hp,
            network,
            training,
            epochs=spec.training.epochs,
            initial_epoch=progress.trained,
            callbacks=[PulseKeeper(attempt.channel.pulse), *own, scored, *others, recorder],
            arrange=recorder.last_of,
        ).run()
        recorder.conclude(result)
        if recorder.decision == "pause":
            attempt.writer.write_surely(attempt.channel)
    except Interrupted:
        attempt.writer.write()
        raise
    return recorder


def _callbacks(attempt: Attempt, execution: int) -> list[keras.callbacks.Callback]:
    """Early stopping, those of the user and TensorBoard's, as the spec asks for them."""
    spec, number = attempt.spec, attempt.assignment.number
    found = early_stopping(spec)
    if spec.training.callbacks:
        folder = attempt.artifacts.callbacks_folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        context = CallbackContext(
            study=spec.study,
            trial=number,
            execution=execution,
            hyperparameters=dict(attempt.hp.values),
            epochs=spec.training.epochs,
            objective=spec.objective.metric,
            folder=folder,
        )
        found += user_callbacks(spec, context)
    if spec.training.tensorboard:
        name = f"-{execution + 1}" if spec.training.executions_per_trial > 1 else ""
        folder = attempt.artifacts.tensorboard_folder() / f"{number:05d}{name}"
        found.append(tensorboard_callback(folder, attempt.hp.values))
    return found


def early_stopping(spec: SearchSpec) -> list[keras.callbacks.Callback]:
    settings = spec.training.early_stopping
    if settings is None:
        return []
    return [
        keras.callbacks.EarlyStopping(
            monitor=spec.objective.metric,
            mode=spec.objective.direction[:3],
            patience=settings.patience,
            min_delta=settings.min_delta,
        )
    ]


def summed_up(ended: Sequence[Ended], objective: Objective) -> Ended:
    """What a trial has achieved: of several executions the means, of the objective also the spread and the best.

    The spread is the standard deviation of the executions' values; the best is what the kept model itself
    scored. ``best_epoch`` is that of the best execution, whose model is kept.
    """
    best = ended[0]
    for each in ended[1:]:
        best = each if objective.better(each.value, than=best.value) else best
    if len(ended) == 1:
        return best
    values = [each.value for each in ended]
    common = [name for name in best.metrics if all(name in each.metrics for each in ended)]
    metrics = {name: fmean(each.metrics[name] for each in ended) for name in common}
    metrics |= {
        f"{objective.metric}_spread": stdev(values),
        f"{objective.metric}_best": best.metrics.get(objective.metric, best.value),
        "executions": float(len(ended)),
    }
    return Ended(fmean(values), best.best_epoch, metrics)
