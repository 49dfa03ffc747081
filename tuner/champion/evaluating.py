"""The process that scores the best trials on validation and test, and averages them into one model.

``python -m tuner.champion.evaluating LOG`` takes ``{"request": ...}``, an ``ExportRequest``, any number of times, and
answers each with the trial's scores, as ``evaluation.py`` reads them; or ``{"unscorable": reason}``. Then it may be
asked ``{"ensemble": most, "single": trial, "file": path}``, answered with an ``Ensemble``. Instead of an answer it may
say ``{"refused": reason}``.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from tuner.champion.child import Receive, Say, serve
from tuner.champion.exporting import prepared_data, reason_of
from tuner.champion.request import ExportRequest
from tuner.champion.scorable import metric_of, why_not
from tuner.data.splits import TEST, VALIDATION


def work(receive: Receive, say: Say) -> None:
    """Answers the parent until it has no more questions."""
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
        self._evaluated: list[Any] = []

    def score(self, request: ExportRequest) -> dict[str, Any]:
        from tuner.champion.evaluated import evaluate

        objective = request.spec.objective.metric
        if reason := why_not(objective):
            return {"unscorable": reason}
        evaluated = evaluate(request, prepared_data(request))
        if evaluated.subject.unscorable:
            return {"unscorable": evaluated.subject.unscorable}
        metric = metric_of(objective)
        found: dict[str, dict[str, Any] | None] = {}
        for split in (VALIDATION, TEST):
            if split not in evaluated.outputs:
                found[split] = None
                continue
            value = evaluated.metrics(split)
            if metric not in value:
                known = ", ".join(sorted(value))
                return {"unscorable": f"{objective} is not a metric that the model was compiled with ({known})"}
            values = evaluated.resampled(split, metric)
            found[split] = {
                "value": value[metric],
                "values": None if values is None else values.tolist(),
                "examples": len(evaluated.data.split(split)),
            }
        self._evaluated.append(evaluated)
        return {"trial": request.trial, "parameters": evaluated.parameters, **found}

    def ensemble(self, most: int, single: int, file: Path) -> dict[str, Any]:
        from tuner.champion.ensembling import average

        return average(self._evaluated, most, single, file).model_dump(mode="json")


if __name__ == "__main__":
    serve(work)
