"""Builds a trial's model and trains it to its outcome."""

from __future__ import annotations

import keras
import keras_tuner

from search_spaces.base import StagedModel
from storage.artifacts import StudyArtifacts
from tuner.data.batches import TrainingBatches, evaluation_batches
from tuner.data.cache import PreparedData, open_prepared
from tuner.hyperparameters import TrialHyperParameters
from tuner.spec import SearchSpec
from tuner.trial import resume
from tuner.trial.assignment import Assignment
from tuner.trial.callbacks import DivergenceGuard, Recorder, StopListener
from tuner.trial.channel import Channel
from tuner.trial.failure import Interrupted
from tuner.trial.keeping import CannotBeSaved, keep_model, when_the_store_is_there
from tuner.trial.measures import measures_of, measures_of_pruned
from tuner.trial.messages import Building, Built, Finished, KeptModel
from tuner.trial.model import batch_format, batch_size_of, build_model, can_be_evaluated, parameters_of
from tuner.trial.outcome import Outcome
from tuner.trial.resume import Snapshot
from tuner.trial.resume_writer import ResumeWriter
from tuner.trial.space import load_space
from tuner.trial.state import assign


def run_trial(assignment: Assignment, channel: Channel) -> Finished:
    """Trains the trial from its start or its latest resume checkpoint.

    Raises:
        Exception: whatever building and training raise; ``failure.describe`` says what each means.
    """
    spec = assignment.spec
    artifacts = StudyArtifacts.at(assignment.artifacts, spec.study, assignment.scratch)
    data = open_prepared(assignment.data)
    space = load_space(spec, data.summary())
    hp = TrialHyperParameters(channel.suggest, assignment.preset, assignment.use_defaults)
    channel.send(Building())
    model = build_model(space, hp, spec, data)
    channel.send(Built(parameters=parameters_of(model.network)))
    if channel.stop_requested.is_set():
        raise Interrupted
    recorder = _fit(assignment, channel, artifacts, space, hp, model, data)
    progress = recorder.progress
    kept: KeptModel | None = None
    reason: str | None = None
    parameters = parameters_of(model.network)
    if recorder.decision == "prune":
        measures = measures_of_pruned(spec, parameters, progress.best_metrics)
    else:
        assign(model.network.variables, recorder.best)
        whole = model.end_to_end()
        try:
            kept = keep_model(whole, assignment, artifacts, channel)
        except CannotBeSaved as error:
            reason = f"its model is not kept, for it cannot be saved: {error}"
        measures = measures_of(spec, whole, data, parameters, kept, progress.best_metrics)
    return Finished(
        outcome=Outcome.PRUNED if recorder.decision == "prune" else Outcome.COMPLETE,
        value=progress.best_value,
        best_epoch=progress.best_epoch,
        metrics=progress.best_metrics,
        measures=measures,
        model=kept,
        reason=reason,
    )


def _fit(
    assignment: Assignment,
    channel: Channel,
    artifacts: StudyArtifacts,
    space: keras_tuner.HyperModel,
    hp: TrialHyperParameters,
    model: StagedModel,
    data: PreparedData,
) -> Recorder:
    spec, network = assignment.spec, model.network
    batch_size, form = batch_size_of(hp, spec), batch_format(space, hp, spec, data, model)
    training = TrainingBatches(data, batch_size, assignment.seed, form)
    validation = evaluation_batches(data, batch_size, form) if can_be_evaluated(network) else None
    resumed = _resumed(assignment, artifacts, channel, network, training)
    writer = ResumeWriter(artifacts, assignment.number, assignment.run)
    stopping = early_stopping(spec)

    def set_epoch(epoch: int) -> None:
        training.epoch = epoch

    recorder = Recorder(
        objective=spec.objective,
        channel=channel,
        writer=writer,
        answer_seconds=assignment.answer_seconds,
        on_epoch=set_epoch,
        stateful=stopping,
        resumed=resumed,
        returns_result=type(space).fit is not keras_tuner.HyperModel.fit,
    )
    # The recorder comes last: it sees what the others decided about this epoch, and the metrics that they added.
    callbacks = [DivergenceGuard(), StopListener(channel), *stopping, recorder]
    try:
        recorder.set_model(network)
        recorder.catch_up(assignment.recorded)
        if recorder.is_done(spec.training.epochs):
            return recorder
        result = space.fit(
            hp,
            network,
            training.dataset,
            validation_data=validation,
            epochs=spec.training.epochs,
            initial_epoch=recorder.progress.epoch,
            callbacks=callbacks,
            verbose=0,
        )
        recorder.conclude(result)
    except Interrupted:
        writer.write()
        raise
    return recorder


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


def _resumed(
    assignment: Assignment, artifacts: StudyArtifacts, channel: Channel, model: keras.Model, training: TrainingBatches
) -> Snapshot | None:
    """What to go on from; the model then has all the variables that training gives it."""
    snapshot = when_the_store_is_there(channel, lambda: resume.read_first(artifacts, assignment.resume_from))
    if snapshot is None:
        return None
    if len(model.variables) < len(snapshot.state.variables):
        # Some are made by the first step alone. What the step does to them is undone when the state is restored.
        model.fit(training.dataset.take(1), epochs=1, verbose=0)
    print(f"resumed after epoch {snapshot.progress.epoch}", flush=True)
    return snapshot
