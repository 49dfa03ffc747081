"""The preflight, in its own process."""

from __future__ import annotations

from tuner.launch.preflight import preflight


def test_a_default_model_above_max_parameters_is_not_the_end_of_the_study(make_spec, cache, tmp_path):
    spec = make_spec("Fast", training={"epochs": 1, "batch_size": 16, "max_parameters": 1})
    found = preflight(spec, cache, tmp_path / "preflight.log")
    assert found.parameters > 1
    assert set(found.metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
