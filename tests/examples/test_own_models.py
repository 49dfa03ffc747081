"""The examples whose models are the user's own, launched as the README says, with fewer and shorter trials."""

from __future__ import annotations

from pathlib import Path

import pytest
from write_digits import write_digits

from tuner import api

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def launch(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE", str(tmp_path / "cache"))
    storage = f"sqlite:///{tmp_path}/tuner.db"

    def launch(spec, *overrides):
        keys = [f"artifacts={tmp_path}/artifacts", "trials=2", "training.epochs=1", *overrides]
        status = api.launch(EXAMPLES / spec, overrides=keys, storage=storage)
        assert (status.state, status.complete) == ("finished", 2)
        return api.best_trials(status.study, k=1, storage=storage)[0]

    return launch


def test_gan(launch, tmp_path):
    write_digits(tmp_path / "digits")
    best = launch("gan/gan.yaml", f"data.path={tmp_path}/digits", "pruner=none")
    assert set(best.metrics) == {"d_loss", "g_loss", "val_distance"}
    assert best.value == best.metrics["val_distance"]


def test_custom_space(launch):
    best = launch("custom_space/search.yaml", "pruner=none")
    assert best.value > 0.2
    assert {"kind", "optimizer/rate", "weight_of_eights"} <= set(best.params)
