"""Takes a trial's files to the study's artifacts and back, with patience for a store that is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import keras
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_exponential
from tenacity.nap import sleep_using_event

from storage.artifacts import StudyArtifacts
from storage.errors import ArtifactsUnavailable
from tuner.trial.assignment import Assignment
from tuner.trial.channel import Channel
from tuner.trial.failure import Interrupted
from tuner.trial.messages import KeptModel
from tuner.trial.store_news import StoreNews

T = TypeVar("T")


class CannotBeSaved(Exception):
    """A model that Keras cannot describe in a ``.keras`` file."""


def keep_model(
    model: keras.Model, assignment: Assignment, artifacts: StudyArtifacts, channel: Channel, news: StoreNews
) -> KeptModel:
    """Saves the model among the study's artifacts.

    Raises:
        CannotBeSaved: the model's classes do not allow it.
        Interrupted: the worker wants the slot back.
    """

    def save() -> KeptModel:
        try:
            kept = artifacts.put_model(assignment.number, assignment.run, model.save)
        except (ArtifactsUnavailable, OSError):
            raise
        except Exception as error:
            obstacle = why_not_saved(model)
            if obstacle is None:
                raise
            raise CannotBeSaved(obstacle) from error
        return KeptModel(key=kept.key, size=kept.size, sha256=kept.sha256)

    return when_the_store_is_there(channel, news, save)


def why_not_saved(model: keras.Model) -> str | None:
    """What keeps the model from being described in a ``.keras`` file; None if nothing does."""
    try:
        keras.saving.serialize_keras_object(model)
    except Exception as error:
        # Keras adds an example of code to what is wrong.
        said = " ".join(str(error).split()).partition(" Example:")[0]
        return f"{type(error).__name__}: {said[:300]}"
    return None


def when_the_store_is_there(channel: Channel, news: StoreNews, work: Callable[[], T]) -> T:
    """Repeats what a store that is away, or full, has refused: hours of training are not given up for it.

    Raises:
        Interrupted: the worker wants the slot back.
    """

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, ArtifactsUnavailable):
            news.away(error, "trying again until they can be written")

    retrying = Retrying(
        retry=retry_if_exception_type(ArtifactsUnavailable),
        wait=wait_exponential(multiplier=1, max=30),
        stop=stop_when_event_set(channel.stop_requested),
        sleep=sleep_using_event(channel.stop_requested),
        before_sleep=say,
        reraise=True,
    )
    try:
        answer = retrying(work)
    except ArtifactsUnavailable:
        raise Interrupted from None
    news.there()
    return answer
