"""Builds a trial's models and trains them to the trial's outcome."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from search_spaces.base import StagedModel
from storage.artifacts import StudyArtifacts
from tuner.data.cache import open_or_mend
from tuner.data.summary import summary_of
from tuner.hyperparameters import TrialHyperParameters
from tuner.trial import resume
from tuner.trial.assignment import Assignment
from tuner.trial.callbacks import Recorder
from tuner.trial.channel import Channel
from tuner.trial.executions import Attempt, execute, summed_up
from tuner.trial.failure import Interrupted
from tuner.trial.keeping import CannotBeSaved, keep_model, when_the_store_is_there
from tuner.trial.measures import known_measures, measures_of
from tuner.trial.messages import Building, Built, Finished, KeptModel
from tuner.trial.model import batch_size_of, build_model, parameters_of
from tuner.trial.outcome import Outcome
from tuner.trial.resume import Progress, Snapshot
from tuner.trial.resume_writer import ResumeWriter
from tuner.trial.runtime import begin, mirrored
from tuner.trial.space import load_space
from tuner.trial.state import assign
from tuner.trial.store_news import StoreNews

# What the worker may decide before a trial has trained to its end.
_OUTCOMES = {"prune": Outcome.PRUNED, "pause": Outcome.PAUSED}


def run_trial(assignment: Assignment, channel: Channel) -> Finished:
    """Trains the trial from its start or its latest resume checkpoint.

    Raises:
        Exception: whatever building and training raise; ``failure.describe`` says what each means.
    """
    spec = assignment.spec
    data = open_or_mend(assignment.data, spec.data)
    artifacts = StudyArtifacts.at(assignment.artifacts, spec.study, assignment.scratch)
    news = StoreNews(channel.send)
    attempt = Attempt(
        assignment,
        channel,
        artifacts,
        load_space(spec, summary_of(data)),
        TrialHyperParameters(channel.suggest, assignment.preset, assignment.use_defaults, spec.hyperparameters),
        data,
        ResumeWriter(artifacts, assignment.number, assignment.run, news),
    )
    recorder, model = _train(attempt, _resumed(attempt, news))
    result = summed_up(recorder.progress.all_ended, recorder.objective)
    parameters, outcome = parameters_of(model.network), _OUTCOMES.get(recorder.decision, Outcome.COMPLETE)
    kept: KeptModel | None = None
    reason: str | None = None
    if outcome is not Outcome.COMPLETE and not recorder.keeps_model:
        measures = known_measures(spec, parameters, result.metrics)
    else:
        assign(model.network.variables, recorder.best_of_all())
        whole = model.end_to_end()
        try:
            kept = keep_model(whole, assignment, artifacts, channel, news)
        except CannotBeSaved as error:
            reason = f"its model is not kept, because it cannot be saved: {error}"
        measures = measures_of(spec, whole, data, parameters, kept, result.metrics)
    if spec.objective.metric in measures:
        # As everywhere where trials are compared.
        measures = measures | {spec.objective.metric: result.value}
    return Finished(
        outcome=outcome,
        value=result.value,
        best_epoch=result.best_epoch,
        metrics=result.metrics,
        measures=measures,
        model=kept,
        reason=reason,
    )


def _train(attempt: Attempt, snapshot: Snapshot | None) -> tuple[Recorder, StagedModel]:
    """All executions that are left; the recorder and the model of the last one."""
    progress, champion = (snapshot.progress, snapshot.champion) if snapshot else (Progress(), [])
    if progress.execution:
        begin(attempt.spec, attempt.assignment.execution_seed(progress.execution))
    strategy = mirrored()

    def scope() -> AbstractContextManager[Any]:
        return strategy.scope() if strategy else nullcontext()

    attempt.channel.send(Building())
    with scope():
        model = build_model(attempt.space, attempt.hp, attempt.spec, attempt.data)
        attempt.channel.send(Built(parameters=parameters_of(model.network)))
        if attempt.channel.stop_requested.is_set():
            raise Interrupted
        # What `fit` asks for later on says nothing about the executions after this one.
        batch_size = batch_size_of(attempt.hp, attempt.spec)
        recorder = execute(attempt, model, batch_size, progress, champion, snapshot)
    while (
        recorder.decision not in _OUTCOMES
        and recorder.progress.execution + 1 < attempt.spec.training.executions_per_trial
    ):
        progress, champion = recorder.progress.next_execution(), recorder.best_of_all()
        print(f"execution {progress.execution + 1} begins", flush=True)
        # Else layers and metrics would be called dense_1 and auc_1.
        keras.utils.clear_session()
        begin(attempt.spec, attempt.assignment.execution_seed(progress.execution))
        with scope():
            model = build_model(attempt.space, attempt.hp, attempt.spec, attempt.data)
            recorder = execute(attempt, model, batch_size, progress, champion, None)
    return recorder, model


def _resumed(attempt: Attempt, news: StoreNews) -> Snapshot | None:
    assignment = attempt.assignment
    snapshot = when_the_store_is_there(
        attempt.channel, news, lambda: resume.read_first(attempt.artifacts, assignment.resume_from)
    )
    if snapshot is not None:
        print(f"resumed after epoch {snapshot.progress.epoch}", flush=True)
    return snapshot
