"""Scores the best trials of a study in a process of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tuner.champion.child import JsonChild
from tuner.champion.records.assessment import Assessment, Resampled, Scores, assess
from tuner.champion.records.ensemble import Ensemble
from tuner.champion.records.request import ExportRequest
from tuner.data.splits import TEST, VALIDATION

_CALLED = "process that scores the best trials"


class Evaluation(JsonChild):
    """A process that knows the models which it has scored, until the block is left."""

    def __init__(self, log: Path) -> None:
        super().__init__("tuner.champion.choosing.scoring_process", log)

    def assess(self, requests: Sequence[ExportRequest]) -> Assessment | str:
        """The assessment of some trials, or why their scores cannot be computed again.

        Raises:
            ExportError: a model cannot be loaded or run.
        """
        scored = []
        for request in requests:
            answer = self.ask({"request": request.model_dump(mode="json")}, _CALLED)
            if "unscorable" in answer:
                return str(answer["unscorable"])
            test = answer[TEST]
            scored.append(
                Scores(
                    answer["trial"],
                    answer["parameters"],
                    Resampled.parse(answer[VALIDATION]),
                    Resampled.parse(test) if test else None,
                )
            )
        return assess(requests[0].spec.objective, scored)

    def ensemble(self, most: int, single: int, file: Path) -> Ensemble:
        """Averages the trials that were assessed, see ``ensembling.average``.

        Raises:
            ExportError: their models do not fit together.
        """
        question = {"ensemble": most, "single": single, "file": os.fspath(file)}
        return Ensemble.model_validate(self.ask(question, _CALLED))
