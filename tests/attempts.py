"""Trials that run in this process; at the other end of their pipe sits a desk in the worker's place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import keras
from optuna.distributions import FloatDistribution, IntDistribution, json_to_distribution

from storage.artifacts import Artifact, StudyArtifacts
from tuner.data.batches import BatchFormat, evaluation_batches
from tuner.data.cache import open_prepared
from tuner.spec.search_spec import SearchSpec
from tuner.trial.assignment import Assignment
from tuner.trial.channel import Channel
from tuner.trial.failure import Interrupted
from tuner.trial.messages import EpochDone, Finished, Suggest, Suggested, Verdict, receive_from_trial, send
from tuner.trial.runtime import begin
from tuner.trial.training import run_trial
from tuner.trial.worth import BestEpoch, best_epoch

SPACES = Path(__file__).parent / "tuner/trial/models.py"
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
                value, distribution = message.value, json_to_distribution(message.distribution)
                if value is None:
                    # What follows from another value is asked for by a range of one.
                    assert distribution.single() and isinstance(distribution, IntDistribution | FloatDistribution)
                    value = distribution.low
                send(self._connection, Suggested(value=value))
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

    def worth(self) -> BestEpoch:
        """What the reported epochs come to, of a trial of one execution."""
        best = best_epoch(self._spec.objective, [self.heard[epoch] for epoch in sorted(self.heard)])
        assert best is not None
        return best

    def score(self, finished: Finished) -> dict[str, float]:
        """What the kept model scores on the validation split."""
        assert finished.model is not None
        model = finished.model
        with self.artifacts.fetched(Artifact(model.key, model.size, model.sha256)) as file:
            loaded = keras.saving.load_model(file)
        return loaded.evaluate(
            evaluation_batches(open_prepared(self._data), 16, BatchFormat()), return_dict=True, verbose=0
        )
