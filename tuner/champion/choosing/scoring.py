"""Scores the best trials of a study in a process of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.champion.child_process import ChildProcess
from tuner.champion.messages import FROM_SCORING, Averaged, AverageTrials, FromScoring, ScoreTrial, TrialScored
from tuner.champion.records.assessment import Assessment, assess
from tuner.champion.records.ensemble import Ensemble
from tuner.champion.records.request import ExportRequest

_CALLED = "process that scores the best trials"


class Evaluation(ChildProcess[FromScoring]):
    """A process that knows the models which it has scored, until the block is left."""

    def __init__(self, log: Path) -> None:
        super().__init__("tuner.champion.choosing.scoring_process", FROM_SCORING, log)

    def assess(self, requests: Sequence[ExportRequest]) -> Assessment | str:
        """The assessment of some trials, or why their scores cannot be computed again.

        Raises:
            ExportError: a model cannot be loaded or run.
        """
        scored = []
        for request in requests:
            answer = self.ask(ScoreTrial(request=request), TrialScored, _CALLED)
            if answer.scores is None:
                return answer.unscorable or ""
            scored.append(answer.scores)
        return assess(requests[0].spec.objective, scored)

    def ensemble(self, most: int, single: int, file: Path) -> Ensemble:
        """Averages the trials that were assessed, see ``ensembling.average``.

        Raises:
            ExportError: their models do not fit together.
        """
        return self.ask(AverageTrials(most=most, single=single, file=file), Averaged, _CALLED).ensemble
