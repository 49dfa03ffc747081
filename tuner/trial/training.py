"""Builds a trial's model and trains it to its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import keras
import keras_tuner
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_exponential
from tenacity.nap import sleep_using_event

from search_spaces.base import StagedModel
from storage.artifacts import StudyArtifacts
from storage.errors import ArtifactsUnavailable
from tuner.data.batches import TrainingBatches, evaluation_batches
from tuner.data.cache import PreparedData, open_prepared
from tuner.hyperparameters import TrialHyperParameters
from tuner.spec import SearchSpec
from tuner.trial import resume
from tuner.trial.assignment import Assignment
from tuner.trial.callbacks import DivergenceGuard, Recorder, StopListener
from tuner.trial.channel import Channel
from tuner.trial.failure import Interrupted
from tuner.trial.messages import Building, Built, Finished, KeptModel
from tuner.trial.model import batch_format, batch_size_of, build_model
from tuner.trial.outcome import Outcome
from tuner.trial.resume import Snapshot
from tuner.trial.resume_writer import ResumeWriter
from tuner.trial.space import load_space

T = TypeVar("T")


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
    channel.send(Built(parameters=int(model.network.count_params())))
    if channel.stop_requested.is_set():
        raise Interrupted
    recorder = _fit(assignment, channel, artifacts, space, hp, model, data)
    progress, kept = recorder.progress, None
    if recorder.decision != "prune":
        resume.assign(model.network.variables, recorder.best or [])
        kept = _keep_model(model.end_to_end(), assignment, artifacts, channel)
    return Finished(
        outcome=Outcome.PRUNED if recorder.decision == "prune" else Outcome.COMPLETE,
        value=progress.best_value,
        best_epoch=progress.best_epoch,
        metrics=progress.best_metrics,
        model=kept,
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
    validation = evaluation_batches(data, batch_size, form)
    resumed = _restore(assignment, artifacts, channel, network)
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
    )
    # The recorder comes last: it sees what the others decided about this epoch.
    callbacks = [DivergenceGuard(), StopListener(channel), *stopping, recorder]
    try:
        recorder.set_model(network)
        recorder.catch_up(assignment.recorded)
        done = recorder.progress.stopping or recorder.progress.epoch >= spec.training.epochs
        if done or recorder.decision != "continue":
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
        if recorder.progress.epoch == 0:
            recorder.record(returned_metrics(result, spec.objective.metric))
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


def returned_metrics(result: Any, objective: str) -> dict[str, float]:
    """The metrics of a ``fit`` that ran no callback: what it returned, as KerasTuner reads it.

    Raises:
        TypeError: it returned neither a History, nor a dict of numbers, nor a number.
    """
    if isinstance(result, keras.callbacks.History):
        return {name: float(values[-1]) for name, values in result.history.items()}
    if isinstance(result, Mapping):
        return {str(name): float(value) for name, value in result.items()}
    if isinstance(result, int | float):
        return {objective: float(result)}
    raise TypeError(
        f"fit passed on no callbacks and returned {type(result).__name__}; pass callbacks to model.fit, or return "
        "a History, a dict of metrics or the objective's value"
    )


def _restore(
    assignment: Assignment, artifacts: StudyArtifacts, channel: Channel, model: keras.Model
) -> Snapshot | None:
    snapshot = _when_the_store_is_there(channel, lambda: resume.read_first(artifacts, assignment.resume_from))
    if snapshot is None:
        return None
    resume.assign(resume.training_variables(model), snapshot.variables)
    resume.restore_random_state(snapshot.randomness)
    print(f"resumed after epoch {snapshot.progress.epoch}", flush=True)
    if snapshot.best:
        return snapshot
    return Snapshot(
        snapshot.progress,
        snapshot.variables,
        resume.values_of(model.variables),
        snapshot.randomness,
    )


def _keep_model(model: keras.Model, assignment: Assignment, artifacts: StudyArtifacts, channel: Channel) -> KeptModel:
    def save() -> KeptModel:
        kept = artifacts.put_model(assignment.number, assignment.run, model.save)
        return KeptModel(key=kept.key, size=kept.size, sha256=kept.sha256)

    return _when_the_store_is_there(channel, save)


def _when_the_store_is_there(channel: Channel, work: Callable[[], T]) -> T:
    """Repeats what a store that is away has refused: hours of training are not given up for it.

    Raises:
        Interrupted: the worker wants the slot back.
    """

    def say(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            print(f"{state.outcome.exception()}; trying again until it is back", flush=True)

    retrying = Retrying(
        retry=retry_if_exception_type(ArtifactsUnavailable),
        wait=wait_exponential(multiplier=1, max=30),
        stop=stop_when_event_set(channel.stop_requested),
        sleep=sleep_using_event(channel.stop_requested),
        before_sleep=say,
        reraise=True,
    )
    try:
        return retrying(work)
    except ArtifactsUnavailable:
        raise Interrupted from None
