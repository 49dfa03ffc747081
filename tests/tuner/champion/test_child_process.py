"""Parent and child talk in typed messages, whatever the values and however the child ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tuner.champion.child_process import ChildProcess
from tuner.champion.messages import (
    FROM_MODELS,
    TO_MODELS,
    Averaged,
    AverageTrials,
    FromModels,
    TrialsScored,
)
from tuner.champion.records.ensemble import Limits
from tuner.errors import ExportError

CHILD = """
import os, sys
import numpy as np
from tuner.champion.child_process import serve
from tuner.champion.messages import TO_MODELS, TrialsScored
from tuner.champion.records.assessment import Resampled, Scores
from tuner.errors import ExportError

def work(questions, say):
    for question in questions:
        print("what is printed is no message")
        if question.limits.bytes == 2:
            values = np.array([0.5, np.nan, np.inf])
            scores = Scores(question.single, 7, Resampled(float("nan"), values, 3), None)
            say(TrialsScored(scores=(scores,), unscorable=str(question.file)))
        elif question.limits.bytes == 3:
            raise ExportError("it cannot")
        elif question.limits.bytes == 4:
            open("absent")
        else:
            os.kill(os.getpid(), 9)

serve(work, TO_MODELS)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChildProcess[FromModels]]:
    (tmp_path / "child_of_a_test.py").write_text(CHILD)
    monkeypatch.chdir(tmp_path)
    with ChildProcess("child_of_a_test", FROM_MODELS, tmp_path / "log") as started:
        yield started


def asked(most: int) -> AverageTrials:
    file = Path("a name \udcff that is no UTF-8")
    return AverageTrials(limits=Limits(bytes=most, latency_ms=1), single=2**40, file=file)


def test_every_value_arrives_as_it_was(child: ChildProcess[FromModels], tmp_path: Path) -> None:
    answer = child.ask(asked(2), TrialsScored, "child")
    (scores,) = answer.scores
    assert (scores.trial, scores.parameters, scores.test) == (2**40, 7, None)
    assert math.isnan(scores.validation.value)
    np.testing.assert_array_equal(scores.validation.values, [0.5, np.nan, np.inf])
    assert answer.unscorable == "a name \udcff that is no UTF-8"
    assert "what is printed is no message" not in str(answer)


@pytest.mark.parametrize(("most", "said"), [(3, "^it cannot$"), (4, "^absent: No such file")])
def test_an_error_of_the_child_is_its_refusal(child: ChildProcess[FromModels], most: int, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        child.ask(asked(most), Averaged, "child")


def test_a_child_that_dies_is_told_with_the_place_of_its_output(
    child: ChildProcess[FromModels], tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"^the child ended with signal 9; its output is in .*/log$"):
        child.ask(asked(5), Averaged, "child")
    assert (tmp_path / "log").exists()


def test_what_is_no_message_is_not_taken_for_one() -> None:
    for given in ({"type": "nothing"}, {"outputs": []}, {"type": "score_outputs", "outputs": [], "more": 1}):
        with pytest.raises(ValidationError):
            TO_MODELS.validate_python(given)
