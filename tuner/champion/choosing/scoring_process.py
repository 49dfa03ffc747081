"""The process that scores the best trials on validation and test, and averages them into one model.

``python -m tuner.champion.choosing.scoring_process LOG``; ``messages`` has what it is asked and answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tuner.champion.child_process import Say, serve
from tuner.champion.messages import TO_SCORING, Averaged, AverageTrials, ScoreTrial, ToScoring, TrialScored
from tuner.champion.records.assessment import Scores
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.scorable import why_not
from tuner.data.splits import TEST, VALIDATION
from tuner.processes.quick_imports import import_keras

if TYPE_CHECKING:
    from tuner.data.prepared import PreparedData


def work(questions: Iterator[ToScoring], say: Say) -> None:
    """Answers the parent until it has no more questions."""
    import_keras()
    evaluation = _Evaluation()
    for question in questions:
        match question:
            case ScoreTrial():
                say(evaluation.score(question.request))
            case AverageTrials():
                say(evaluation.average(question))


class _Evaluation:
    """The models of one study, and what they gave."""

    def __init__(self) -> None:
        self._data: PreparedData | None = None
        self._evaluated: list[Any] = []

    def score(self, request: ExportRequest) -> TrialScored:
        from tuner.champion.choosing.scored_trial import NotCompiled, evaluate
        from tuner.champion.model.study_data import prepared_data

        if reason := why_not(request.spec.objective.metric):
            return TrialScored(scores=None, unscorable=reason)
        # Finding out whether the data is still the same reads all of it.
        self._data = self._data or prepared_data(request)
        evaluated = evaluate(request, self._data)
        if evaluated.subject.unscorable:
            return TrialScored(scores=None, unscorable=evaluated.subject.unscorable)
        try:
            scores = {split: evaluated.score(split) for split in evaluated.outputs}
        except NotCompiled as error:
            return TrialScored(scores=None, unscorable=str(error))
        self._evaluated.append(evaluated)
        return TrialScored(scores=Scores(request.trial, evaluated.parameters, scores[VALIDATION], scores.get(TEST)))

    def average(self, asked: AverageTrials) -> Averaged:
        from tuner.champion.choosing.averaging import average

        return Averaged(ensemble=average(self._evaluated, asked.most, asked.single, asked.file))


if __name__ == "__main__":
    serve(work, TO_SCORING)
