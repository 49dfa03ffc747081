"""Hypermodels as KerasTuner's guides and Keras's examples have them are trials as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.attempts import Attempts
from tuner.data.cache import prepare
from tuner.spec.reading import validate_spec
from tuner.trial.outcome import Outcome

SPACES = Path(__file__).with_name("guide_spaces.py")
LOSS = {"metric": "loss", "direction": "minimize"}
SMALL = {
    "entries": {"num_residual_blocks": 2, "sep_num_filters": 128, "conv2d_num_filters": 32},
    "tune_new_entries": False,
}


@pytest.mark.parametrize(
    ("source", "space", "objective", "keys"),
    [
        ("images", f"{SPACES}:build_model", "val_accuracy", {}),
        ("images", f"{SPACES}:TunesFit", "val_accuracy", {"hyperparameters": {"entries": {"shuffle": True}}}),
        ("images", f"{SPACES}:TakesArrays", "val_accuracy", {"hyperparameters": {"entries": {"normalize": True}}}),
        ("images_alone", f"{SPACES}:build_autoencoder", LOSS, {}),
        pytest.param(
            "coloured",
            {"name": "keras_tuner.applications:HyperXception", "input_shape": [8, 8, 3], "classes": 3},
            "val_accuracy",
            {"hyperparameters": SMALL},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_hypermodel_of_a_guide_is_a_trial_as_it_is(
    source: str, space: Any, objective: Any, keys: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    raw = {
        "study": "guide",
        "data": {"kind": "python", "source": f"{SPACES}:{source}", "validation_split": 0.25},
        "space": space,
        "objective": objective,
        "training": {"epochs": 1, "batch_size": 8},
    }
    spec = validate_spec(raw | keys, source="test", base=tmp_path)
    finished = Attempts(spec, prepare(spec.data, cache).folder, tmp_path / "attempts").run()
    assert finished is not None and finished.outcome is Outcome.COMPLETE
    assert (finished.model is None) == (source == "images_alone")
