"""Scores the best trials of a study in a process of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.champion.child_process import ChildProcess
from tuner.champion.messages import FROM_SCORING, Averaged, AverageTrials, FromScoring, ScoreTrials, TrialsScored
from tuner.champion.records.assessment import Assessment, assess
from tuner.champion.records.ensemble import Limits
from tuner.champion.records.request import ExportRequest

_CALLED = "process that scores the best trials"
# Of so many of the best trials the scores have intervals.
_INTERVALS = 5


class Evaluation(ChildProcess[FromScoring]):
    """A process that knows the models which it has scored, until the block is left."""

    def __init__(self, log: Path) -> None:
        super().__init__("tuner.champion.choosing.scoring_process", FROM_SCORING, log)

    def assess(self, requests: Sequence[ExportRequest], *, smallest: bool) -> Assessment | str:
        """The assessment of some trials, or why their scores cannot be computed again.

        Raises:
            ExportError: a model cannot be loaded or run.
        """
        # Resamples take longer than all else, and only the smallest model is looked for among those within noise.
        intervals = len(requests) if smallest else _INTERVALS
        answer = self.ask(ScoreTrials(requests=tuple(requests), intervals=intervals), TrialsScored, _CALLED)
        if answer.unscorable is not None:
            return answer.unscorable
        return assess(requests[0].spec.objective, answer.scores, smallest=smallest)

    def average(self, limits: Limits, single: int, file: Path) -> Averaged:
        """Averages the trials that were assessed, see ``averaging.average``."""
        return self.ask(AverageTrials(limits=limits, single=single, file=file), Averaged, _CALLED)
