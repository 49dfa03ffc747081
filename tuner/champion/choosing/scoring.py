"""Has the best trials of a study scored, in the process that has their models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.champion.child_process import ChildProcess
from tuner.champion.messages import Averaged, AverageTrials, FromModels, ScoreTrials, TrialsScored
from tuner.champion.records.assessment import Assessment, assess
from tuner.champion.records.ensemble import Limits
from tuner.champion.records.request import ExportRequest

_CALLED = "process that scores the best trials"
# Of so many of the best trials the scores have intervals.
_INTERVALS = 5


class Evaluation:
    """Asks the process of the models, which knows those that it has scored until an export is written."""

    def __init__(self, process: ChildProcess[FromModels]) -> None:
        self._process = process

    def assess(self, requests: Sequence[ExportRequest], *, smallest: bool) -> Assessment | str:
        """The assessment of some trials, or why their scores cannot be computed again.

        Raises:
            ExportError: a model cannot be loaded or run.
        """
        # Resamples take longer than all else, and only the smallest model is looked for among those within noise.
        intervals = len(requests) if smallest else _INTERVALS
        answer = self._process.ask(ScoreTrials(requests=tuple(requests), intervals=intervals), TrialsScored, _CALLED)
        if answer.unscorable is not None:
            return answer.unscorable
        return assess(requests[0].spec.objective, answer.scores, smallest=smallest)

    def average(self, limits: Limits, single: int, file: Path) -> Averaged:
        """Averages the trials that were assessed, see ``averaging.average``."""
        return self._process.ask(AverageTrials(limits=limits, single=single, file=file), Averaged, _CALLED)
