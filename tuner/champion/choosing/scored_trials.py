"""Scores the best trials on validation and test, and averages them into one model, in the process of the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tuner.champion.messages import Averaged, AverageTrials, ScoreTrials, ToScoring, TrialsScored
from tuner.champion.records.assessment import Resampled, Scores
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.scorable import why_not
from tuner.data.splits import TEST, VALIDATION
from tuner.processes.messages import Message

if TYPE_CHECKING:
    from tuner.champion.choosing.scored_trial import Evaluated


class ScoredTrials:
    """The models of one study, and what they gave."""

    def __init__(self) -> None:
        self._evaluated: list[Evaluated] = []

    def answer(self, question: ToScoring) -> Message:
        match question:
            case ScoreTrials():
                return self._score(question.requests, question.intervals)
            case AverageTrials():
                return self._average(question)

    def _score(self, requests: Sequence[ExportRequest], intervals: int) -> TrialsScored:
        from tuner.champion.choosing.scored_trial import NotCompiled, evaluate
        from tuner.champion.model.study_data import prepared_data

        objective = requests[0].spec.objective
        if reason := why_not(objective.metric):
            return TrialsScored(unscorable=reason)
        # Finding out whether the data is still the same reads all of it.
        data = prepared_data(requests[0])
        scorers: list[Evaluated] = []
        found: dict[int, dict[str, Resampled]] = {}
        for request in requests:
            evaluated = _with_scorer(evaluate(request, data), scorers)
            if evaluated.subject.unscorable:
                return TrialsScored(unscorable=evaluated.subject.unscorable)
            try:
                found[request.trial] = {split: evaluated.score(split, resampled=False) for split in evaluated.outputs}
            except NotCompiled as error:
                return TrialsScored(unscorable=str(error))
            self._evaluated.append(evaluated)
        sign = -1 if objective.direction == "maximize" else 1
        self._evaluated.sort(key=lambda each: sign * found[each.request.trial][VALIDATION].value)
        for each in self._evaluated[:intervals]:
            known = found[each.request.trial]
            for split, outputs in each.outputs.items():
                known[split] = replace(known[split], values=each.resampled(split, outputs))
        return TrialsScored(scores=tuple(_scores(each, found[each.request.trial]) for each in self._evaluated))

    def _average(self, asked: AverageTrials) -> Averaged:
        from tuner.champion.choosing.averaging import NoAverage, average

        try:
            return Averaged(ensemble=average(self._evaluated, asked.limits, asked.single, asked.file))
        except NoAverage as reason:
            return Averaged(ensemble=None, reason=str(reason))


def _with_scorer(evaluated: Evaluated, known: list[Evaluated]) -> Evaluated:
    """With a model before it that scores as this one does, or as one for those after it."""
    if evaluated.subject.unscorable:
        return evaluated
    scorer = next((each for each in known if each.scores_as(evaluated)), None)
    if scorer is None:
        known.append(evaluated)
    return replace(evaluated, scorer=scorer)


def _scores(evaluated: Evaluated, found: Mapping[str, Resampled]) -> Scores:
    return Scores(evaluated.request.trial, evaluated.parameters, found[VALIDATION], found.get(TEST))
