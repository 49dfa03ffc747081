"""The examples whose models are the user's own, launched as the README says, with fewer and shorter trials."""

from __future__ import annotations

from write_digits import write_digits


def test_gan(launch, tmp_path):
    write_digits(tmp_path / "digits")
    best = launch("gan/gan.yaml", f"data.path={tmp_path}/digits")
    assert set(best.metrics) == {"d_loss", "g_loss", "val_distance"}
    assert best.value > 0 and best.metrics["val_distance"] > 0


def test_custom_space(launch):
    best = launch("custom_space/search.yaml")
    assert best.value > 0.2
    assert {"kind", "optimizer/rate", "weight_of_eights"} <= set(best.params)
