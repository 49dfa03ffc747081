"""The process that scores the best trials on validation and test, and averages them into one model.

``python -m tuner.champion.choosing.scoring_process LOG``
takes ``{"request": ...}``, an ``ExportRequest``, any number of times, and
answers each with the trial's scores, as ``scoring.py`` reads them; or ``{"unscorable": reason}``. Then it may be
asked ``{"ensemble": most, "single": trial, "file": path}``, answered with an ``Ensemble``. Instead of an answer it may
say ``{"refused": reason}``.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.champion.child import Receive, Say, serve
from tuner.champion.model.opened import prepared_data, reason_of
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.scorable import why_not
from tuner.data.splits import TEST, VALIDATION
from tuner.processes.quick_imports import import_keras

if TYPE_CHECKING:
    from tuner.data.prepared import PreparedData


def work(receive: Receive, say: Say) -> None:
    """Answers the parent until it has no more questions."""
    import_keras()
    try:
        evaluation = _Evaluation()
        while (message := receive()) is not None:
            if "request" in message:
                say(evaluation.score(ExportRequest.model_validate(message["request"])))
            else:
                say(evaluation.ensemble(message["ensemble"], message["single"], Path(message["file"])))
    except Exception as error:
        traceback.print_exc()
        say({"refused": reason_of(error)})


class _Evaluation:
    """The models of one study, and what they gave."""

    def __init__(self) -> None:
        self._data: PreparedData | None = None
        self._evaluated: list[Any] = []

    def score(self, request: ExportRequest) -> dict[str, Any]:
        from tuner.champion.choosing.scored_trial import NotCompiled, evaluate

        objective = request.spec.objective.metric
        if reason := why_not(objective):
            return {"unscorable": reason}
        # Finding out whether the data is still the same reads all of it.
        self._data = self._data or prepared_data(request)
        evaluated = evaluate(request, self._data)
        if evaluated.subject.unscorable:
            return {"unscorable": evaluated.subject.unscorable}
        try:
            scores = {split: evaluated.score(split).as_json() for split in evaluated.outputs}
        except NotCompiled as error:
            return {"unscorable": str(error)}
        self._evaluated.append(evaluated)
        return {
            "trial": request.trial,
            "parameters": evaluated.parameters,
            VALIDATION: scores[VALIDATION],
            TEST: scores.get(TEST),
        }

    def ensemble(self, most: int, single: int, file: Path) -> dict[str, Any]:
        from tuner.champion.choosing.averaging import average

        return average(self._evaluated, most, single, file).model_dump(mode="json")


if __name__ == "__main__":
    serve(work)
