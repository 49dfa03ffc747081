"""How long a champion is trained when it is trained again, and which epoch its curves mark."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from storage.leaderboard import Epoch, TrialDetail, TrialSummary
from tuner.champion.records.trial_curve import TrialCurve, epochs_to_best


def _trial(executions: list[int | None], best: int | None, metrics: dict[str, float]) -> TrialDetail:
    """A trial whose epochs were of these executions."""
    curve = [
        Epoch(number, {"val_loss": 0.5} | ({} if execution is None else {"execution": execution}), 1.0, None)
        for number, execution in enumerate(executions, 1)
    ]
    summary = TrialSummary(**_unknown(TrialSummary) | {"trial": 3, "metrics": metrics})
    return TrialDetail(**_unknown(TrialDetail) | {"summary": summary, "curve": curve, "best_epoch": best})


def _unknown(kind: Any) -> dict[str, Any]:
    return dict.fromkeys(field.name for field in fields(kind))


@pytest.mark.parametrize(
    ("executions", "best", "metrics", "expected"),
    [
        ([1, 1, 1, 2, 2, 2, 2, 3, 3], 6, {"executions": 3.0}, 3),
        ([1, 1, 1, 2, 2, 2, 2, 3, 3], 8, {"executions": 3.0}, 1),
        ([1, 1, 1, 2, 2, 2, 2, 3, 3], 2, {"executions": 3.0}, 2),
        ([None, None, None], 2, {}, 2),
        # A metric of the user's own that is called the same says nothing.
        ([5, 6, 7], 3, {"execution": 7.0}, 3),
        ([1, 2], None, {"executions": 2.0}, None),
    ],
)
def test_a_training_again_lasts_as_long_as_the_execution_whose_model_was_kept(
    executions: list[int | None], best: int | None, metrics: dict[str, float], expected: int | None
) -> None:
    trial = _trial(executions, best, metrics)
    assert epochs_to_best(trial) == expected
    assert TrialCurve.of(trial).best_epoch == best
