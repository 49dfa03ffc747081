"""The process that has the trials' models, with the user's code: it scores them, and then writes the chosen one.

``python -m tuner.champion.export.model_process LOG``; ``messages`` has what it is asked and answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuner.champion.child_process import ChildProcess, Say, serve
from tuner.champion.messages import FROM_MODELS, TO_MODELS, AverageTrials, FromModels, ScoreTrials, ToModels
from tuner.processes.quick_imports import import_keras


def model_process(log: Path) -> ChildProcess[FromModels]:
    """Starts the process, for ``Evaluation`` and ``Exporter`` to ask."""
    return ChildProcess("tuner.champion.export.model_process", FROM_MODELS, log)


def work(questions: Iterator[ToModels], say: Say) -> None:
    """Answers the parent until it has no more questions."""
    import_keras()
    from tuner.champion.choosing.scored_trials import ScoredTrials
    from tuner.champion.export.writing import WrittenExport

    scored: ScoredTrials | None = ScoredTrials()
    written = WrittenExport()
    for question in questions:
        if isinstance(question, ScoreTrials | AverageTrials):
            assert scored is not None
            say(scored.answer(question))
        else:
            # The chosen model is read from its file, as everybody reads it; the others need no memory any more.
            scored = None
            say(written.answer(question))


if __name__ == "__main__":
    serve(work, TO_MODELS)
