"""Trials that run in this process; at the other end of their pipe sits a desk in the worker's place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import keras
import pytest
from optuna.distributions import json_to_distribution
from tensorflow.config.experimental import enable_op_determinism
from tensorflow.python.framework.config import disable_op_determinism

from storage.artifacts import StudyArtifacts
from tuner.data.cache import prepare
from tuner.spec import SearchSpec, Space
from tuner.trial.assignment import Assignment
from tuner.trial.channel import Channel
from tuner.trial.failure import Interrupted
from tuner.trial.messages import EpochDone, Finished, Suggest, Suggested, Verdict, receive_from_trial, send
from tuner.trial.runtime import begin
from tuner.trial.training import run_trial

SPACES = Path(__file__).with_name("models.py")
# A trial whose worker is gone ends its process at once, and here that would be the tests'.
_open_pipes: list[Any] = []


class Desk:
    """Answers a trial as its worker would: hyperparameters take their defaults, epochs what ``decide`` says.

    Attributes:
        said: every message of the trial.
    """

    def __init__(self, decide: Callable[[EpochDone], str]) -> None:
        ours, self.theirs = Pipe()
        _open_pipes.extend((ours, self.theirs))
        self.said: list[Any] = []
        self._connection, self._decide = ours, decide
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def epochs(self) -> list[EpochDone]:
        return [message for message in self.said if isinstance(message, EpochDone)]

    def _listen(self) -> None:
        while True:
            message = receive_from_trial(self._connection)
            self.said.append(message)
            if isinstance(message, Suggest):
                assert message.value is not None or json_to_distribution(message.distribution).single()
                send(self._connection, Suggested(value=message.value))
            elif isinstance(message, EpochDone):
                send(self._connection, Verdict(epoch=message.epoch, decision=self._decide(message)))  # type: ignore[arg-type]


class Attempts:
    """One trial of a spec, attempt after attempt.

    Attributes:
        desk: of the last attempt.
        heard: the metrics of each epoch that an attempt reported.
    """

    def __init__(self, spec: SearchSpec, data: Path, folder: Path) -> None:
        self._spec, self._data = spec, data
        self.artifacts = StudyArtifacts.at(folder, spec.study, folder)
        self._number = 0
        self.heard: dict[int, dict[str, float]] = {}

    def run(self, decide: Callable[[EpochDone], str] = lambda epoch: "continue") -> Finished | None:
        """The trial's end; None if ``decide`` stopped it."""
        self._number += 1
        assignment = Assignment(
            spec=self._spec,
            number=0,
            attempt=self._number,
            data=self._data,
            run=self._number,
            artifacts=self.artifacts.place,
            scratch=self.artifacts.scratch,
            log=self.artifacts.trial_log(0, self._number),
            resume_from=tuple(file.artifact.key for file in self.artifacts.resume_files(0)),
            recorded=max(self.heard, default=0),
            use_defaults=True,
            answer_seconds=60.0,
        )
        self.desk = Desk(decide)
        keras.utils.clear_session()
        begin(self._spec, assignment.seed)
        try:
            return run_trial(assignment, Channel(self.desk.theirs))
        except Interrupted:
            return None
        finally:
            self.heard |= {epoch.epoch: epoch.metrics for epoch in self.desk.epochs}


MakeAttempts = Callable[..., Attempts]


@pytest.fixture
def attempts(make_spec: Any, cache: Path, tmp_path: Path) -> MakeAttempts:
    """``attempts(space, **keys)``: a trial of a space of models.py, with the spec's keys as of ``make_spec``.

    ``prepared`` is the folder of other data than the spec's.
    """

    def attempts(
        space: str,
        folder: str = "attempts",
        *,
        options: dict[str, Any] | None = None,
        prepared: Path | None = None,
        **keys: Any,
    ) -> Attempts:
        spec = make_spec(**keys)
        named = Space.model_validate({"name": f"{SPACES}:{space}", **(options or {})})
        spec = spec.model_copy(update={"space": named})
        return Attempts(spec, prepared or prepare(spec.data, cache).folder, tmp_path / folder)

    return attempts


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Bit-equal results in this process, and its precision put back."""
    enable_op_determinism()
    yield
    disable_op_determinism()
    keras.mixed_precision.set_global_policy("float32")
