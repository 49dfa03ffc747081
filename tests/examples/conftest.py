from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.leaderboard import TrialSummary
from tuner import api

EXAMPLES = Path(__file__).parents[2] / "examples"
Launch = Callable[..., TrialSummary]


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Launches an example's spec with two trials of one epoch, or as the overrides say, and gives its best trial."""
    monkeypatch.setenv("TUNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TUNER_STORAGE", f"sqlite:///{tmp_path}/tuner.db")

    def launch(spec: str, *overrides: str) -> TrialSummary:
        keys = [f"artifacts={tmp_path}/artifacts", "trials=2", "pruner=none", "training.epochs=1", *overrides]
        status = api.launch(EXAMPLES / spec, overrides=keys)
        assert (status.state, status.complete) == ("finished", status.budget)
        return api.best_trials(status.study, k=1)[0]

    return launch
